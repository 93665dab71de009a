"""What can go wrong with codes, records, pictures and statistics."""

from __future__ import annotations

from inspection.errors import InspectionError


class CodeNotParsed(InspectionError):
    """No identifier code. Facts: text, position (1-based, of the first wrong character), expected."""

    code = "TRC-CODE-NOT-PARSED"


class HandlePrefixesInvalid(InspectionError):
    """No list of first segments of Handles. Facts: value."""

    code = "TRC-HANDLE-PREFIXES"


class CodeTaken(InspectionError):
    """A code names another unit already. Facts: code, other."""

    code = "TRC-CODE-TAKEN"


class CodeRetired(InspectionError):
    """A code that was given up and is not used again. Facts: unit, reason."""

    code = "TRC-CODE-RETIRED"


class BlockMissing(InspectionError):
    """No block of codes to issue from, or all of them used. Facts: prefix."""

    code = "TRC-BLOCK-MISSING"


class BlockRefused(InspectionError):
    """A block that cannot be: it overlaps another, or its numbers make no codes. Facts: prefix, first, last, reason."""

    code = "TRC-BLOCK-REFUSED"


class LinkRefused(InspectionError):
    """A link that no resolver could answer. Facts: field, value."""

    code = "TRC-LINK-REFUSED"


class NodeUnreachable(InspectionError):
    """Another resolver does not answer, and nothing is kept of what it said before. Facts: node, reason."""

    code = "TRC-NODE-UNREACHABLE"


class EventsRefused(InspectionError):
    """An EPCIS document none of whose events were taken in. Facts: mistakes, job."""

    code = "TRC-EVENTS-REFUSED"


class UnitUnknown(InspectionError):
    """A well-formed code under which nothing is recorded. Facts: unit."""

    code = "TRC-UNIT-UNKNOWN"


class RecordVoided(InspectionError):
    """What is said comes under the id of a record that was voided. Facts: id, kind."""

    code = "TRC-RECORD-VOIDED"


class RecordUnknown(InspectionError):
    """No record of that id. Facts: id."""

    code = "TRC-RECORD-UNKNOWN"


class HoldMissing(InspectionError):
    """Nobody holds the unit. Facts: unit."""

    code = "TRC-HOLD-MISSING"


class EscapeLeftOut(InspectionError):
    """A lot or a time by which a containment would leave out its own escape. Facts: unit, at."""

    code = "TRC-ESCAPE-LEFT-OUT"


class LinkOutside(InspectionError):
    """A cut beyond its unit. Facts: link, unit, side, from_mm, to_mm, size_mm, slack_mm."""

    code = "TRC-LINK-OUTSIDE"


class LinkCycle(InspectionError):
    """A unit would be its own ancestor. Facts: unit, path."""

    code = "TRC-LINK-CYCLE"


class LedgerForked(InspectionError):
    """The ledger is not the one whose heads were kept, or leaves are missing. Facts: reason."""

    code = "TRC-LEDGER-FORKED"


class LedgerKeyUnreadable(InspectionError):
    """The key that signs heads. Facts: file, reason."""

    code = "TRC-LEDGER-KEY"


class LedgerUnwritable(InspectionError):
    """There is no key yet, and none can be kept where it is to be. Facts: folder, reason."""

    code = "TRC-LEDGER-UNWRITABLE"


class HeadsUnreadable(InspectionError):
    """The file of kept heads. Facts: file, reason."""

    code = "TRC-HEADS-UNREADABLE"


class DatabaseUnreachable(InspectionError):
    """No answer from the database, or no database there. Facts: database, reason."""

    code = "TRC-DATABASE-UNREACHABLE"


class DatabaseEmpty(DatabaseUnreachable):
    """There is no database, or none with any row, where one is named that has to have some. Facts: database."""

    code = "TRC-DATABASE-EMPTY"


class DatabaseReadOnly(InspectionError):
    """Can be read, but nothing can be recorded. Facts: database."""

    code = "TRC-DATABASE-READ-ONLY"


class DatabaseNewer(InspectionError):
    """Its tables are those of a later version of the program. Facts: database, revision."""

    code = "TRC-DATABASE-NEWER"


class DiskFull(InspectionError):
    """No room left for a record or a picture. Facts: place."""

    code = "TRC-DISK-FULL"


class PictureMissing(InspectionError):
    """No picture of that name: never stored, or given up to make room. Facts: sha256."""

    code = "TRC-PICTURE-MISSING"


class PictureGivenUp(InspectionError):
    """A picture that a rule gave up to make room. Facts: sha256, date, rule."""

    code = "TRC-PICTURE-GIVEN-UP"


class PictureAltered(InspectionError):
    """The bytes are not those that were stored. Facts: sha256, found."""

    code = "TRC-PICTURE-ALTERED"


class PicturesNotWritable(InspectionError):
    """The picture folder takes no files. Facts: place, reason."""

    code = "TRC-PICTURES-NOT-WRITABLE"


class BucketDenied(InspectionError):
    """The bucket of the pictures does not let us in. Facts: place, reason."""

    code = "TRC-BUCKET-DENIED"


class BucketUnreachable(InspectionError):
    """The server of the pictures does not answer, or has no such bucket. Facts: place, reason."""

    code = "TRC-BUCKET-UNREACHABLE"


class PersonUnknown(InspectionError):
    """Nobody of that name was ever added. Facts: name."""

    code = "TRC-PERSON-UNKNOWN"


class NameTaken(InspectionError):
    """Somebody else has that name, or that badge. Facts: name."""

    code = "TRC-NAME-TAKEN"


class LastAdministrator(InspectionError):
    """Nobody could administer afterwards. Facts: name."""

    code = "TRC-LAST-ADMINISTRATOR"


class TokenUnknown(InspectionError):
    """No such token of this person that is still valid. Facts: token."""

    code = "TRC-TOKEN-UNKNOWN"


class ReviewUnknown(InspectionError):
    """No review of that id that could be taken back, or an inspection that waits for none. Facts: id."""

    code = "TRC-REVIEW-UNKNOWN"


class ReviewStands(InspectionError):
    """Somebody decided about the unit already. Facts: by, decision."""

    code = "TRC-REVIEW-STANDS"


class CaseUnknown(InspectionError):
    """No case of that id. Facts: case."""

    code = "TRC-CASE-UNKNOWN"


class CaseOver(InspectionError):
    """The case is closed. Facts: case."""

    code = "TRC-CASE-OVER"


class CaseNotReady(InspectionError):
    """The case lacks what it needs before it may end. Facts: missing."""

    code = "TRC-CASE-NOT-READY"


class SessionUnknown(InspectionError):
    """The person has no such session, or not any more. Facts: none."""

    code = "TRC-SESSION-UNKNOWN"


class HandoverUnknown(InspectionError):
    """No shift was handed over under that id. Facts: handover."""

    code = "TRC-HANDOVER-UNKNOWN"


class HandoverTaken(InspectionError):
    """Somebody took the shift over already. Facts: by."""

    code = "TRC-HANDOVER-TAKEN"


class HandoverOwn(InspectionError):
    """Whoever handed a shift over does not take it over, too. Facts: by."""

    code = "TRC-HANDOVER-OWN"


class SpcError(InspectionError):
    """Base of what statistics refuse to compute."""

    code = "SPC-ERROR"


class TooFewSubgroups(SpcError):
    """Not enough subgroups with inspected units to say anything. Facts: found, needed."""

    code = "SPC-TOO-FEW"


class SubgroupUnknown(SpcError):
    """The key of a subgroup cannot be read. Facts: key."""

    code = "SPC-SUBGROUP-UNKNOWN"


class StandingStudyUnknown(SpcError):
    """No such study is ordered, or not any more. Facts: id."""

    code = "SPC-STANDING-STUDY-UNKNOWN"


class TooManySubgroups(SpcError):
    """A window so long that its chart could not be read. Facts: allowed."""

    code = "SPC-TOO-MANY"


class ValuesMissing(SpcError):
    """Nothing to compute from. Facts: method."""

    code = "SPC-NO-VALUES"


class TooFewValues(SpcError):
    """Less than the method's formula is defined for. Facts: method, found, needed."""

    code = "SPC-TOO-FEW-VALUES"


class CapabilityOfTooFew(TooFewValues):
    """A capability report of so few values that it would say nothing. Facts: found, needed, index, low, high, width of
    the interval in which `index` would lie."""

    code = "SPC-CAPABILITY-TOO-FEW"


class ValueNotFinite(SpcError):
    """A missing or infinite value among the data. Facts: method, position (1-based, as written), value."""

    code = "SPC-NOT-FINITE"


class NoVariation(SpcError):
    """All values are equal, so that no spread can be estimated. Facts: method, value."""

    code = "SPC-NO-VARIATION"


class CountImpossible(SpcError):
    """Negative, not whole, above the number looked at, or out of none. Facts: method, position, count, opportunity."""

    code = "SPC-COUNT-IMPOSSIBLE"


class SubgroupSizesDiffer(SpcError):
    """The method wants subgroups of one size. Facts: method, sizes."""

    code = "SPC-SUBGROUP-SIZES"


class SpecLimitsInvalid(SpcError):
    """Reversed, equal, or none at all. Facts: lower, upper."""

    code = "SPC-SPEC-LIMITS"


class InputMissing(SpcError):
    """A study without one of the columns or numbers that it is made of. Facts: method, name."""

    code = "SPC-INPUT-MISSING"


class StudyIncomplete(SpcError):
    """A cell of a crossed or nested study is missing or of another size. Facts: method, cell, found, needed."""

    code = "SPC-STUDY-INCOMPLETE"


class TruthContradicts(SpcError):
    """The same part is said to be two things. Facts: method, part, first, first_line,
    second, second_line (1-based, as given)."""

    code = "SPC-TRUTH-CONTRADICTS"


class OneClassOnly(SpcError):
    """Every part, and every verdict on it, is the same: nothing could have gone wrong. Facts: method, value."""

    code = "SPC-ONE-CLASS"


class ChoiceUnknown(SpcError):
    """A lane, a kind of defect or a camera that neither station nor record knows. Facts: choice, value, there."""

    code = "SPC-CHOICE-UNKNOWN"


class ParameterOutOfRange(SpcError):
    """A parameter outside what the method is defined for. Facts: parameter, value, allowed."""

    code = "SPC-PARAMETER"


class NotRare(SpcError):
    """A CUSUM of rare events asked for of what happens too often. Facts: rate, most, in events per 100 units."""

    code = "SPC-NOT-RARE"


class NotStable(SpcError):
    """A capability index of a process that was not shown stable. Facts: index, signals."""

    code = "SPC-NOT-STABLE"


class GaugeNotProven(SpcError):
    """A capability report without a valid study of the gauge. Facts: characteristic."""

    code = "SPC-GAUGE-NOT-PROVEN"


class ProofStale(SpcError):
    """Sensitivity and specificity were proven too long ago, or for another model. Facts: reason."""

    code = "SPC-PROOF-STALE"


class InspectorBlind(SpcError):
    """Sensitivity + specificity do not exceed 1: rejects say nothing of defects. Facts: sensitivity, specificity."""

    code = "SPC-INSPECTOR-BLIND"


class ReadingsUnreadable(SpcError):
    """A line of typed readings that is none. Facts: line, text, columns."""

    code = "SPC-READINGS-UNREADABLE"


class FitImpossible(SpcError):
    """No parameters of this model agree best with the data. Facts: method, reason."""

    code = "SPC-FIT-IMPOSSIBLE"


class NoSuchPlan(SpcError):
    """No sampling plan with these properties. Facts: asked."""

    code = "SPC-NO-PLAN"


class CasesUnreadable(SpcError):
    """No published cases to verify against, or one that is none. Facts: place, reason."""

    code = "SPC-CASES-UNREADABLE"


class BackupRefused(InspectionError):
    """A backup cannot be made there, or is not one that can be taken back."""

    code = "TRC-BACKUP-REFUSED"
