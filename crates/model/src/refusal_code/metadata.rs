//! Codes of the metadata of frames.

use super::Remedy::{Profile, Programme, Repaired, UnnamedProject, Words};
use super::codes;

/// The remedy when a statement of the header is not used.
const HEADER: super::Remedy =
    Words("correct the header at the provider, or name the right keyword in the survey's profile");

codes! { FRAMES "Metadata of frames"
    NO_USABLE_DETECTOR = "no_usable_detector", Refusal, Repaired => "None of the images of the file can be used.";
    EXTENSIONS_MISSING = "extensions_missing", Either, Profile => "NEXTEND announces more extensions than the file has: the file was cut between two extensions.";
    DETECTOR_COUNT = "detector_count", Finding, Words("compare the file with the provider's, or add the number to `limits.detectors` of the profile")
        => "The number of detectors in the file is not one that the survey has.";
    CATALOGUE_ABSENT = "catalogue_absent", Finding, Words("deliver the catalogue, or take the key catalogue out of the frame type in the profile")
        => "By its frame type the frame has a catalogue, and none has arrived although the delivery is complete.";
    TABLE_UNPAIRED = "table_unpaired", Finding, Words("check names and numbers of the extensions, or `catalogue.pair_by` of the profile")
        => "Tables of the catalogue belong to no detector of the image.";
    PAIRING_RENUMBERED = "pairing_renumbered", Finding, Words("nothing: the positions of the rows confirm the pairs")
        => "The numbering of the tables of a catalogue starts at a different number than that of the images.";
    UNKNOWN_PROJECT = "unknown_project", Either, Programme => "The project that the header names belongs to no programme.";
    NO_PROJECT = "no_project", Refusal, UnnamedProject => "The header names no project, and the profile names no programme for such frames.";
    UNKNOWN_FILTER = "unknown_filter", Either, Profile => "The filter named by the header is not in the profile.";
    KEYWORD_MISSING = "keyword_missing", Either, Profile => "A keyword that the profile expects is missing, and its column has no value.";
    KEYWORD_MISTYPED = "keyword_mistyped", Either, Profile => "A keyword has a value of the wrong type for its column, or no valid time, and the column has no value.";
    KEYWORD_OUT_OF_RANGE = "keyword_out_of_range", Either, Profile => "A keyword has a value outside the range of its column.";
    KEYWORD_NEW = "keyword_new", Finding, Words("add the keyword to the survey's profile where a column should have it")
        => "A keyword is known neither to the tables nor to the profile; the archive keeps it in the header's text.";
    VALUE_OUT_OF_RANGE = "value_out_of_range", Finding, Words("correct the header at the provider; the value is in the header's text")
        => "A value is outside the range that its column holds, and became NULL.";
    VALUE_MISSING = "value_missing", Refusal, Repaired => "A column that may not be NULL has no value that can be stored.";
    TEXT_NOT_STORABLE = "text_not_storable", Finding, Words("nothing: the header's text has the whole value")
        => "A text is too long or has control characters, and was cut or escaped.";
    COMPONENT_UNCLEAR = "component_unclear", Finding, HEADER => "A keyword of provenance names no file.";
}

codes! { TIMES "Dates and times"
    TIME_SPELLING = "time_spelling", Finding, Words("nothing: the time is used") => "A time has a blank where FITS has a T.";
    TIME_CONTRADICTED = "time_contradicted", Finding, HEADER => "Two keywords state different times of the observation; the message names the one that counts.";
    TIME_SCALE_UNKNOWN = "time_scale_unknown", Finding, Words("set TIMESYS, or `time.scale` of the survey's profile")
        => "The time scale has no known relation to UTC, and the times are NULL.";
    TIME_OF_DAY_MISSING = "time_of_day_missing", Finding, Words("name the keyword with the time of day in `[time]` of the survey's profile")
        => "A date has no time of day, and no other keyword of the profile states one.";
    TIME_OF_DAY_UNREADABLE = "time_of_day_unreadable", Finding, Words("name the unit of the number in `time.numbers` of the survey's profile")
        => "A keyword is not a time of day, or a number without a known unit.";
    TIME_FROM_EPOCH = "time_from_epoch", Finding, HEADER => "The time comes from the epoch of the observation, since no other keyword states one.";
}
