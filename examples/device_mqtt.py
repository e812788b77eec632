"""A device over MQTT: it does the jobs of the thing named on the command line, and waits for more."""

import json
import os
import sys

from paho.mqtt.client import CallbackAPIVersion, Client

thing = sys.argv[1]
jobs = f"$aws/things/{thing}/jobs"


def on_connect(device, *_):
    device.subscribe([(f"{jobs}/notify-next", 1), (f"{jobs}/$next/get/accepted", 1)])


def on_subscribe(device, *_):
    device.publish(f"{jobs}/$next/get", "{}")  # what is there already; of the rest it will be told


def on_message(device, _, message):
    execution = json.loads(message.payload).get("execution")
    if execution is None:
        print(f"{thing} waits", flush=True)
    else:
        print(f"{thing} does {execution['jobId']}: {execution['jobDocument']}", flush=True)
        device.publish(f"{jobs}/{execution['jobId']}/update", '{"status": "SUCCEEDED"}', qos=1)


device = Client(CallbackAPIVersion.VERSION2, client_id=thing)
device.on_connect, device.on_subscribe, device.on_message = on_connect, on_subscribe, on_message
device.connect("127.0.0.1", int(os.environ.get("THINGJOBS_MQTT_PORT", "1883")))
device.loop_forever()
