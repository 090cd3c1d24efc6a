"""Our own requests for listing pages: one each, into columns, without retries.

The first request to a bucket goes through botocore and shows the way (`_routes.py`). So does one to
a bucket that suddenly says it is elsewhere.
"""

from __future__ import annotations

import threading

from botocore import exceptions as aws

from stocktake.errors import WrongRegionError
from stocktake.store._answers import Call, odd_answer_error
from stocktake.store._calls import S3Calls
from stocktake.store._http import Http, HttpRequest
from stocktake.store._key_pages import KeyPage
from stocktake.store._listing_xml import ListingShapeError, listing_parameters
from stocktake.store._page_columns import parse_columns
from stocktake.store._port import ListQuery
from stocktake.store._refusals import TRANSPORT_ERRORS, is_refusal, refused_error, store_error
from stocktake.store._routes import Route, Routes
from stocktake.store._signing import EMPTY_SHA256, canonical_query
from stocktake.store._span import Span

_WIRE_NAMES = {
    "Prefix": "prefix",
    "MaxKeys": "max-keys",
    "EncodingType": "encoding-type",
    "Delimiter": "delimiter",
    "ContinuationToken": "continuation-token",
    "StartAfter": "start-after",
    "KeyMarker": "key-marker",
    "VersionIdMarker": "version-id-marker",
}


class PageRequests:
    """Listing pages of one client's buckets as columns. Safe to share between threads."""

    def __init__(self, calls: S3Calls, routes: Routes, http: Http) -> None:
        self._calls = calls
        self._http = http
        self._routes = routes
        # parsing is many short calls that let go of the interpreter's lock and fight for it again:
        # with 64 threads at it they spend more time on that than on the pages
        self._parsing = threading.Lock()

    def page(self, query: ListQuery) -> KeyPage:
        """One page by one request, or by two if the bucket turns out to be elsewhere; no retries.

        Raises:
            StoreError: `retryable` says whether to try again.
        """
        operation = "ListObjectVersions" if query.versions else "ListObjectsV2"
        call = self._calls.about(operation, query.bucket)
        body = self._body(call, query)
        try:
            with self._parsing:
                return parse_columns(body, query)
        except ListingShapeError as error:
            raise odd_answer_error(str(error), call) from error

    def close(self) -> None:
        """Give back connections."""
        self._http.close()

    def _body(self, call: Call, query: ListQuery) -> Span:
        route = self._routes.find(query.bucket)
        if route is not None:
            try:
                return self._ask(route, call, query)
            except WrongRegionError:
                self._routes.forget(query.bucket)
        answer = self._calls.once(call, listing_parameters(query) | self._calls.payer)
        return Span.of(answer.get("RawBody", b""))

    def _ask(self, route: Route, call: Call, query: ListQuery) -> Span:
        text = canonical_query(_wire_parameters(query))
        headers = {"x-amz-request-payer": "requester"} if call.requester_pays else {}
        self._calls.meter.call(call.operation)
        try:
            target = (route.path, text)
            headers = self._routes.sign(route, "GET", target, headers, EMPTY_SHA256)
            answer = self._http.send(HttpRequest(route.origin, f"{route.path}?{text}", headers))
        except (aws.ClientError, *TRANSPORT_ERRORS) as error:
            raise store_error(error, call) from error
        if is_refusal(answer):
            raise refused_error(answer, call)
        return answer.body


def _wire_parameters(query: ListQuery) -> dict[str, str]:
    parameters = listing_parameters(query)
    del parameters["Bucket"]
    wire = {_WIRE_NAMES[name]: str(value) for name, value in parameters.items()}
    return wire | ({"versions": ""} if query.versions else {"list-type": "2"})
