"""A device: it does the jobs of the thing named on the command line, then ends."""

import json
import sys
import time

import boto3

thing = sys.argv[1]
jobs = boto3.client("iot-jobs-data")

while execution := jobs.start_next_pending_job_execution(thingName=thing).get("execution"):
    job_id, document = execution["jobId"], json.loads(execution["jobDocument"])
    print(f"{thing} starts {job_id}: {document}")
    for percent in ("25%", "50%", "75%"):
        time.sleep(0.2)  # here it would work
        jobs.update_job_execution(
            thingName=thing, jobId=job_id, status="IN_PROGRESS", statusDetails={"progress": percent}
        )
    jobs.update_job_execution(
        thingName=thing, jobId=job_id, status="SUCCEEDED", statusDetails={"progress": "100%"}
    )
