"""Asks a server for free/busy with exchangelib. argv: ENDPOINT USER PASSWORD VERSION START MAILBOX...

Prints one JSON document: by mailbox, the merged free/busy of a day in half hours, or the name of the error.
"""
import datetime
import json
import sys

from exchangelib import Configuration, Credentials, EWSDateTime, EWSTimeZone
from exchangelib.errors import EWSError
from exchangelib.protocol import FailFast, Protocol
from exchangelib.transport import BASIC
from exchangelib.version import EXCHANGE_2010_SP2, EXCHANGE_2016, Version

endpoint, user, password, version, day = sys.argv[1:6]
build = {"2010_SP2": EXCHANGE_2010_SP2, "2016": EXCHANGE_2016}[version]
start = EWSDateTime.from_datetime(datetime.datetime.fromisoformat(day).replace(tzinfo=EWSTimeZone("UTC")))
protocol = Protocol(config=Configuration(
    service_endpoint=endpoint, credentials=Credentials(user, password), auth_type=BASIC, version=Version(build=build), retry_policy=FailFast()))
answers = {}
for mailbox in sys.argv[6:]:
    try:  # exchangelib returns some errors and raises others
        view = list(protocol.get_free_busy_info(
            accounts=[(mailbox, "Required", False)], start=start, end=start + datetime.timedelta(days=1), merged_free_busy_interval=30,
            requested_view="DetailedMerged"))[0]
    except EWSError as error:
        view = error
    answers[mailbox] = type(view).__name__ if isinstance(view, Exception) else "".join(view.merged or [])
print(json.dumps(answers))
