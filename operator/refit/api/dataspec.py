"""What a ModelDeployment says of its data: where it is, what it must look like, how it is prepared."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from refit.api.base import (
    ATOMIC,
    ApiModel,
    Choice,
    ColumnName,
    LocalReference,
    Number,
    Sha256,
    Word,
    first_of,
    rule,
    rules,
)


class DataFormat(Choice):
    CSV = "CSV"
    PARQUET = "Parquet"


class ColumnType(Choice):
    NUMBER = "Number"
    CATEGORY = "Category"


class MissingStrategy(Choice):
    """How a missing feature value is filled; the fill is learned from training rows only."""

    MEDIAN = "Median"
    MEAN = "Mean"
    MOST_FREQUENT = "MostFrequent"
    DROP_ROWS = "DropRows"


class OutlierMethod(Choice):
    """IQR drops training rows that lie more than 1.5 interquartile ranges outside the quartiles."""

    NONE = "None"
    IQR = "IQR"


class DuplicatePolicy(Choice):
    KEEP = "Keep"
    DROP = "Drop"


class Severity(Choice):
    """Great Expectations' words: Critical refuses the data, Warning is reported, Info is noted."""

    CRITICAL = "Critical"
    WARNING = "Warning"
    INFO = "Info"


# Loopback, link-local and IPv6 addresses, numbers that stand for an IPv4 address, and names that mean one of these.
_INWARD = (
    r"(?i)^https?://(\\[|169[.]254[.]|100[.]100[.]100[.]200|127[.]|(0x[0-9a-f]+|0[0-7]*)([.:/]|$)|[0-9]+([:/]|$)"
    r"|([-a-z0-9]+[.])*localhost[.]?([:/]|$)|(metadata|instance-data)([.:/]|$))"
)


class Source(ApiModel):
    """Where the data is.

    `uri` is one of `https://host/path`, `http://host/path`, `s3://bucket/key`, `pvc://claim/path`,
    `configmap://name/key` or `sample://heart-disease`.
    """

    uri: Annotated[str, Field(min_length=1, max_length=1024)]
    sha256: Sha256 | None = None
    secret_ref: LocalReference | None = None

    model_config = ConfigDict(
        json_schema_extra=rules(
            first_of(
                ".uri",
                (
                    r"self.uri.matches('^(https?|s3|pvc|configmap|sample)://')",
                    "must start with https://, http://, s3://, pvc://, configmap:// or sample://",
                ),
                (
                    r"!self.uri.matches('(?i)(^|/)([.]|%2e){2}(/|$)')",
                    "must not contain '..'",
                ),
                (
                    f"!self.uri.matches('{_INWARD}')",
                    "must not point at the machine itself or at a metadata service",
                ),
                (
                    r"!self.uri.matches('^https?://[^/]*@')",
                    "must not hold a user name or password; use secretRef",
                ),
                (
                    r"self.uri.matches('^[a-z0-9]+://[A-Za-z0-9][^/\\x00-\\x20\\x7f]*(/[^\\x00-\\x20\\x7f]*)?$')",
                    "must be scheme://host/path without spaces or control characters",
                ),
                (
                    r"!self.uri.startsWith('sample://') || self.uri in ['sample://heart-disease', 'sample://ames-housing']",
                    "the samples are sample://heart-disease and sample://ames-housing",
                ),
                (
                    r"!self.uri.matches('^(s3|pvc|configmap)://') || self.uri.matches('^[a-z0-9]+://[^/]+/[^/]')",
                    "must name what to read: s3://bucket/key, pvc://claim/path or configmap://name/key",
                ),
                (
                    r"!self.uri.matches('^(s3|pvc|configmap)://') || self.uri.matches('^[a-z0-9]+://[a-z0-9]([-.a-z0-9]*[a-z0-9])?/')",
                    "the name of a bucket, claim or config map holds a-z, 0-9, '-' and '.' only",
                ),
                (
                    r"!self.uri.startsWith('configmap://') || self.uri.matches('^configmap://[^/]+/[-._a-zA-Z0-9]+$')",
                    "the key of a config map holds letters, digits, '-', '_' and '.' only",
                ),
            )
        ),
    )


_LESS_OR_MORE = rule(
    r"!self.matches('^[<>]') || self.matches('^[<>]=? ?-?[0-9]+([.][0-9]+)?$')",
    "less and more compare with a number, such as '> 0'; words compare by == and !=",
)


class Target(ApiModel):
    """The column to be predicted; for a two-class task `positiveWhen` says which rows are positive.

    `positiveWhen` is a comparison with a number or a word, such as "> 0" or "== yes"; without it
    the classes are the distinct values of the column.
    """

    column: ColumnName
    positive_when: (
        Annotated[
            str,
            Field(
                max_length=64,
                pattern=r"^(>=|<=|==|!=|>|<) ?[^ \x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
                json_schema_extra=rules(_LESS_OR_MORE),
            ),
        ]
        | None
    ) = None


class Column(ApiModel):
    """One column of the data and what its values must be."""

    name: ColumnName
    type: ColumnType = ColumnType.NUMBER
    min: Number | None = None
    max: Number | None = None
    nullable: bool = True
    categories: Annotated[tuple[Word, ...], Field(max_length=256)] = ()

    model_config = ConfigDict(
        json_schema_extra=ATOMIC
        | rules(
            rule(
                "!has(self.min) || !has(self.max) || double(self.min) <= double(self.max)",
                "min must not be greater than max",
                field_path=".min",
            ),
            first_of(
                ".type",
                (
                    "self.type == 'Number' || (!has(self.min) && !has(self.max))",
                    "min and max are for columns of type Number",
                ),
                (
                    "self.type == 'Category' || !has(self.categories) || size(self.categories) == 0",
                    "categories are for columns of type Category",
                ),
            ),
        ),
    )


Kwargs = Annotated[
    dict[str, Any],
    Field(max_length=16, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}),
]


class Expectation(ApiModel):  # type: ignore[no-redef]  # the plugin makes a **kwargs of its own; the field's name is GX's
    """One expectation in Great Expectations' configuration format."""

    type: Annotated[str, Field(max_length=128, pattern=r"^expect_[a-z0-9_]+$")]
    kwargs: Kwargs = {}
    severity: Severity = Severity.CRITICAL


class Missing(ApiModel):
    strategy: MissingStrategy = MissingStrategy.MEDIAN


class Outliers(ApiModel):
    method: OutlierMethod = OutlierMethod.NONE


class Cleaning(ApiModel):
    """What is done to rows before training; the same is never done to a row that asks for a prediction,
    except filling its missing values."""

    missing: Missing = Missing()
    outliers: Outliers = Outliers()
    duplicates: DuplicatePolicy = DuplicatePolicy.KEEP


class Feature(ApiModel):
    """A feature computed from number columns.

    `expression` knows + - * / ( ), numbers, column names, and abs, log, log1p, sqrt, exp, min, max.
    It becomes part of the exported model.
    """

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    expression: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            json_schema_extra=rules(
                rule(
                    r"self.matches('^[-+*/(),. _0-9\\pL]*$')",
                    "only + - * / ( ), numbers, column names and abs, log, log1p, sqrt, exp, min, max are known",
                )
            ),
        ),
    ]


class Split(ApiModel):
    """How rows are divided: `testPercent` are held out, stratified by class, drawn with `seed`."""

    test_percent: Annotated[int, Field(ge=5, le=50)] = 20
    seed: Annotated[int, Field(ge=0, le=2147483647)] = 42


class DataSpec(ApiModel):
    """The data of a model.

    Without `columns` every column but the target and those in `ignore` is a feature, and its type is
    inferred; with `columns` just those are read, by name, in any order.
    """

    source: Source
    format: DataFormat = DataFormat.CSV
    target: Target
    columns: Annotated[
        tuple[Column, ...],
        Field(
            max_length=256, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        ),
    ] = ()
    ignore: Annotated[
        tuple[ColumnName, ...], Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()
    expectations: Annotated[tuple[Expectation, ...], Field(max_length=64)] = ()
    cleaning: Cleaning = Cleaning()
    features: Annotated[
        tuple[Feature, ...],
        Field(
            max_length=64, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        ),
    ] = ()
    split: Split = Split()

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.columns) || size(self.columns) == 0 || self.columns.exists(c, c.name == self.target.column)",
                "must be one of data.columns when columns are given",
                field_path=".target.column",
            ),
            rule(
                "!has(self.columns) || size(self.columns) != 1",
                "columns must hold the target and at least one feature",
                field_path=".columns",
            ),
            rule(
                "!has(self.ignore) || !(self.target.column in self.ignore)",
                "must not hold the target",
                field_path=".ignore",
            ),
            rule(
                "!has(self.ignore) || !has(self.columns) || self.columns.all(c, !(c.name in self.ignore))",
                "a column is either in columns or ignored",
                field_path=".ignore",
            ),
            rule(
                "!has(self.features) || self.features.all(f, f.name != self.target.column && "
                "(!has(self.columns) || self.columns.all(c, c.name != f.name)))",
                "a computed feature needs a name that no column has",
                field_path=".features",
            ),
        ),
    )
