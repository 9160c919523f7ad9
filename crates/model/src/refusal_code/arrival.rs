//! Codes of names, listings and transfers.

use super::Remedy::{
    Deliver, Disk, FileItself, Limit, NewProfile, Readable, Refetch, Rename, Repaired, Settled,
    Source, Space,
};
use super::codes;

codes! { NAMES "Names of delivered files"
    NAME_NOT_UTF8 = "name_not_utf8", Refusal, Rename => "The name of the file is not UTF-8.";
    NAME_TOO_LONG = "name_too_long", Refusal, Rename => "The name of the file is longer than 200 bytes.";
    NAME_NEWLINE = "name_newline", Refusal, Rename => "The name of the file contains a line break.";
    NAME_ESCAPE = "name_escape", Refusal, Rename => "The name of the file contains an escape character.";
    NAME_SEPARATOR = "name_separator", Refusal, Rename => "The name of the file contains a separator of paths or NUL.";
    NAME_CONTROL_CHARACTER = "name_control_character", Refusal, Rename => "The name of the file contains a control character.";
    NAME_PARENT = "name_parent", Refusal, Rename => "The name of the file contains `..`.";
    NAME_MARKUP = "name_markup", Refusal, Rename => "The name of the file contains `<` or `>`.";
    NAME_SHELL_CHARACTER = "name_shell_character", Refusal, Rename => "The name of the file contains a character that shells interpret.";
    NAME_OPTION = "name_option", Refusal, Rename => "The name of the file begins with `-`, like an option of a command.";
    NAME_HIDDEN = "name_hidden", Refusal, Rename => "The name of the file begins with a dot: the file is still being written, or is not a product.";
    NAME_NOT_ASCII = "name_not_ascii", Refusal, Rename => "The name of the file contains characters outside ASCII.";
    NAME_DUPLICATE = "name_duplicate", Refusal, Rename => "The name differs from that of another file of the delivery only in upper and lower case.";
    PATTERN_UNUSED = "pattern_unused", Finding, super::Remedy::Words("correct the pattern in `naming.runs` of the survey's profile")
        => "A pattern of the survey's profile fits none of its images in the delivery: their nights and run numbers are not read.";
    FRAME_TWICE = "frame_twice", Finding, super::Remedy::Words("remove one of the two files at the source; the next transfer then keeps the other")
        => "Two images of the delivery have names of one frame, which differ only in FITS or compression endings.";
}

codes! { TRANSFER "Listing and transfer"
    SYMBOLIC_LINK = "symbolic_link", Refusal, FileItself => "The entry is a symbolic link that the source's settings do not follow.";
    NOT_A_FILE_DIRECTORY = "not_a_file_directory", Refusal, FileItself => "The entry is a directory, not a regular file.";
    NOT_A_FILE_FIFO = "not_a_file_fifo", Refusal, FileItself => "The entry is a FIFO, not a regular file.";
    NOT_A_FILE_SOCKET = "not_a_file_socket", Refusal, FileItself => "The entry is a socket, not a regular file.";
    NOT_A_FILE_DEVICE = "not_a_file_device", Refusal, FileItself => "The entry is a device or another special file, or is no longer a regular file.";
    OUTSIDE = "outside", Refusal, FileItself => "The path leads out of the directory of the delivery.";
    MISSING_FILE = "missing_file", Refusal, Refetch => "The source listed the file and no longer has it.";
    UNREADABLE = "unreadable", Refusal, Readable => "The source denies permission to read the file.";
    IO_ERROR = "io_error", Refusal, Disk => "Reading the file stopped with an error of the system.";
    IO = "io", Refusal, Disk => "Reading the file in the library stopped with an error of the system.";
    CHANGED_WHILE_READ = "changed_while_read", Refusal, Settled => "The file changed each time while it was read.";
    MISSING_FROM_DELIVERY = "missing_from_delivery", Refusal, Deliver => "The provider's list names the file, and the delivery does not have it.";
    NO_PROFILE = "no_profile", Refusal, NewProfile => "No survey profile of the site fits the headers and the name of the file, and none is the fallback.";
    SIZE_NOT_AS_STATED = "size_not_as_stated", Refusal, Repaired => "The length of the file differs from the provider's list.";
    CHECKSUM_NOT_AS_STATED = "checksum_not_as_stated", Refusal, Repaired => "The checksum of the file differs from the provider's list.";
    LIST_TOO_LONG = "list_too_long", Refusal, Repaired => "A list of files or checksums is longer than the limit, and was not used.";
    TOO_LARGE = "too_large", Refusal, Limit => "The file, or what it unpacks to, is larger than the limit.";
    NO_ROOM = "no_room", Refusal, Space => "The file is larger than the free space of every volume of the library.";
    REFUSED_BY_SOURCE = "refused_by_source", Refusal, Source => "The source answered the request for the file with an error.";
    NO_ACCESS = "no_access", Refusal, Source => "The source does not accept the credentials or the certificate.";
    NO_ADDRESS = "no_address", Refusal, Source => "The address of the source is not valid.";
    NO_AUTHORITIES = "no_authorities", Refusal, Source => "The certificates that the source's settings name cannot be read.";
    NO_SSH = "no_ssh", Refusal, Source => "The program ssh is not installed on this machine.";
}
