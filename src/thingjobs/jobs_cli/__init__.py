"""Jobs for people without the AWS CLI: ``thingjobs jobs``, a client of the AWS API like any other."""
