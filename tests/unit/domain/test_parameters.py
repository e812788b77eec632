"""Managed templates and their parameters (spec: control-plane 3.15, wire 8)."""

from __future__ import annotations

import json
import re

import pytest

from thingjobs.domain.document import device_spelling
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.managed_templates import MANAGED_TEMPLATES
from thingjobs.domain.packages import check_packages
from thingjobs.domain.parameters import DocumentParameter, check_parameters, substitute

NUMBER = DocumentParameter("n", "A number.", "[0-9]+", "7", optional=False)
NAME = DocumentParameter("name", "A name.", "(.){0,4}", "x", optional=True)
DECLARED = (NUMBER, NAME)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": "1", "x": "", "a": ""}, "Managed template T has no parameter a, x."),
        ({}, "Managed template T needs the parameter n."),
        ({"name": "y"}, "Managed template T needs the parameter n."),
        ({"n": "1x"}, "The value of parameter n does not match the pattern [0-9]+."),
        ({"n": "1\n"}, "The value of parameter n does not match the pattern [0-9]+."),
        ({"n": "1", "name": "abcde"}, "The value of parameter name does not match the pattern (.){0,4}."),
    ],
)
def test_values_that_the_template_does_not_take_are_refused(given: dict[str, str], said: str) -> None:
    """spec: control-plane 3.1 rule 5"""
    with pytest.raises(InvalidRequest) as refused:
        check_parameters(given, DECLARED, "T")
    assert refused.value.message == said


def test_an_optional_parameter_may_be_left_out_and_is_empty() -> None:
    """spec: control-plane 3.1 rule 5"""
    check_parameters({"n": "1"}, DECLARED, "T")
    text = '{"a":"${aws:iot:parameter:n}-${aws:iot:parameter:n}","b":"<${aws:iot:parameter:name}>"}'
    assert substitute(text, {"n": "1"}, DECLARED) == '{"a":"1-1","b":"<>"}'


def test_a_value_stays_inside_the_string_it_stands_in() -> None:
    value = 'a","op":"b\\\n${aws:iot:parameter:n}'
    text = substitute('{"a":"${aws:iot:parameter:name}"}', {"name": value}, DECLARED)
    assert json.loads(text) == {"a": value}


def test_an_unknown_parameter_in_the_document_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="unknown parameter m"):
        substitute('{"a":"${aws:iot:parameter:m}"}', {}, DECLARED)


def test_there_are_seven_managed_templates() -> None:
    """case 65"""
    assert list(MANAGED_TEMPLATES) == [
        "AWS-Download-File",
        "AWS-Install-Application",
        "AWS-Reboot",
        "AWS-Remove-Application",
        "AWS-Restart-Application",
        "AWS-Start-Application",
        "AWS-Stop-Application",
    ]


@pytest.mark.parametrize("name", MANAGED_TEMPLATES)
def test_a_managed_document_uses_each_of_its_parameters(name: str) -> None:
    template = MANAGED_TEMPLATES[name]
    assert device_spelling(template.document) == template.document
    used = set(re.findall(r"\$\{aws:iot:parameter:(\w+)\}", template.document))
    assert used == {parameter.key for parameter in template.parameters}
    check_parameters({p.key: p.example for p in template.parameters}, template.parameters, name)


@pytest.mark.parametrize(
    "placeholder",
    [
        "${aws:iot:package:fw:version:1.2:attributes:key}",
        "${aws:iot:package:fw:version:1.2:attributes}",
        "${aws:iot:package:fw:version:1.2:artifact-location:s3-presigned-url}",
    ],
)
def test_a_package_that_does_not_exist_cannot_be_filled_in(placeholder: str) -> None:
    """spec: wire 8"""
    with pytest.raises(InvalidRequest, match=r"Package fw version 1\.2 in the job document cannot be found"):
        check_packages(json.dumps({"a": f"x {placeholder} y"}))
    with pytest.raises(InvalidRequest):
        check_packages(json.dumps({"a": placeholder}).replace("package", "pack\\u0061ge"))


def test_what_is_no_package_placeholder_is_nothing() -> None:
    check_packages('{"a":"${aws:iot:package:fw}","b":"aws:iot:package:a:version:b:c"}')
