"""Requests free/busy with exchangelib, 100 mailboxes per request. argv: LAB.JSON URL EMAIL PASSWORD; addresses on standard input.

Prints one JSON document: how many calendars came, and the seconds that the requests took.
"""
import datetime
import json
import sys
import time

import urllib3.util.connection as connection
from exchangelib import NTLM, Configuration, Credentials, EWSDateTime, EWSTimeZone
from exchangelib.protocol import FailFast, Protocol

facts, endpoint, email, password = sys.argv[1:5]
addresses = sys.stdin.read().split()
endpoints = json.load(open(facts))["endpoints"]
connect = connection.create_connection


def connect_to(address, *args, **kwargs):
    host, port = endpoints[f"{address[0]}:{address[1]}"].rsplit(":", 1)
    return connect((host, int(port)), *args, **kwargs)


connection.create_connection = connect_to
utc = EWSTimeZone("UTC")
day = datetime.datetime.now(datetime.timezone.utc)
start = EWSDateTime(day.year, day.month, day.day, tzinfo=utc)
protocol = Protocol(config=Configuration(
    service_endpoint=endpoint, credentials=Credentials(email, password), auth_type=NTLM, retry_policy=FailFast()))
protocol.version  # asks the server, and is no part of the lookups
begun, came = time.monotonic(), 0
for i in range(0, len(addresses), 100):
    accounts = [(a, "Required", False) for a in addresses[i:i + 100]]
    views = protocol.get_free_busy_info(
        accounts=accounts, start=start, end=start + datetime.timedelta(days=1), merged_free_busy_interval=30,
        requested_view="FreeBusyMerged")
    came += sum(not isinstance(v, Exception) and bool(v.merged) for v in views)
print(json.dumps({"calendars": came, "seconds": time.monotonic() - begun}))
