"""Inventory reports: find them, verify them, read them, and write our own.

In: a store, the address of a report or batches of object records. Out: object records with what
the report claims, or a delivery in AWS layout. Never: raw report files on disk, rows of a part
whose checksum is not right, or knowledge of catalogs.
"""

from stocktake.inventory._address import ReportAddress, format_stamp, parse_stamp
from stocktake.inventory._bad_rows import bad_rows_allowed, check_bad_rows
from stocktake.inventory._configuration import ConfigurationFacts, read_configuration
from stocktake.inventory._dialect import AWS, Dialect
from stocktake.inventory._key_probe import KeyEncodingVerdict, is_ambiguous, settle_key_encoding
from stocktake.inventory._locate import (
    Delivery,
    DeliveryState,
    check_delivery,
    latest_delivery,
    list_deliveries,
)
from stocktake.inventory._manifest import Manifest, PartFile, ReportFormat, parse_manifest
from stocktake.inventory._open import open_report
from stocktake.inventory._options import KeyEncoding, ReadOptions
from stocktake.inventory._report import Report
from stocktake.inventory._verify import PartVerdict, VerifyResult, verify_report
from stocktake.inventory._write import ReportWriter, write_report
from stocktake.inventory._write_columns import aws_order, parse_format
from stocktake.inventory._write_csv import CsvStyle
from stocktake.inventory._write_manifest import ReportPart
from stocktake.inventory._write_sink import ReportStore
from stocktake.inventory._write_spec import ReportSpec, WrittenReport

__all__ = [
    "AWS",
    "ConfigurationFacts",
    "CsvStyle",
    "Delivery",
    "DeliveryState",
    "Dialect",
    "KeyEncoding",
    "KeyEncodingVerdict",
    "Manifest",
    "PartFile",
    "PartVerdict",
    "ReadOptions",
    "Report",
    "ReportAddress",
    "ReportFormat",
    "ReportPart",
    "ReportSpec",
    "ReportStore",
    "ReportWriter",
    "VerifyResult",
    "WrittenReport",
    "aws_order",
    "bad_rows_allowed",
    "check_bad_rows",
    "check_delivery",
    "format_stamp",
    "is_ambiguous",
    "latest_delivery",
    "list_deliveries",
    "open_report",
    "parse_format",
    "parse_manifest",
    "parse_stamp",
    "read_configuration",
    "settle_key_encoding",
    "verify_report",
    "write_report",
]
