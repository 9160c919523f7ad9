//! Invalid names, and entries that are no files.

use super::{Build, Damage, Entry, Finder, Made, Scope};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

const fn kind(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    build: fn(&super::Sound) -> Made,
) -> Damage {
    Damage {
        name,
        description,
        code,
        scope: Scope::File,
        finder: Finder::Directory,
        build: Build::Files(build),
    }
}

pub(super) static KINDS: [Damage; 19] = [
    kind("fifo", "a pipe named like an image", "not_a_file_fifo", |s| s.only(Entry::Fifo)),
    kind("directory", "a directory named like an image", "not_a_file_directory", |s| {
        s.only(Entry::Directory)
    }),
    kind("socket", "a socket named like an image", "not_a_file_socket", |s| s.only(Entry::Socket)),
    kind("device", "a device named like an image", "not_a_file_device", |s| s.only(Entry::Device)),
    kind("link_out", "a symbolic link out of the delivery", "symbolic_link", |s| {
        s.only(Entry::Link("/etc/passwd".into()))
    }),
    kind("link_to_nothing", "a symbolic link to nothing", "symbolic_link", |s| {
        s.only(Entry::Link("../../not/there.fit".into()))
    }),
    kind("unreadable", "a file without permission to read", "unreadable", |s| {
        s.only(Entry::Unreadable(s.image.clone()))
    }),
    kind("name_with_dots", "a name with two dots, as if it led upwards", "name_parent", |s| {
        s.named(format!("..{}.fit", s.root))
    }),
    kind("name_with_newline", "a line break in the name", "name_newline", |s| {
        s.named(format!("{}\n.fit", s.root))
    }),
    kind("name_with_command", "a shell command in the name", "name_shell_character", |s| {
        s.named(format!("{}$(touch almagest-was-here).fit", s.root))
    }),
    kind("name_with_escape", "a terminal's escape sequence in the name", "name_escape", |s| {
        s.named(format!("{}\u{1b}]0;x\u{7}.fit", s.root))
    }),
    kind("name_with_markup", "a script of a web page in the name", "name_markup", |s| {
        s.named(format!("{}<script>alert(1)<script>.fit", s.root))
    }),
    kind("name_like_option", "a name that begins like an option", "name_option", |s| {
        s.named(format!("-rf{}.fit", s.root))
    }),
    kind("name_hidden", "a name that begins with a dot", "name_hidden", |s| {
        s.named(format!(".{}.fit", s.root))
    }),
    kind("name_with_tab", "a tab in the name", "name_control_character", |s| {
        s.named(format!("{}\t.fit", s.root))
    }),
    kind("name_not_ascii", "a letter that is not ASCII in the name", "name_not_ascii", |s| {
        s.named(format!("{}\u{3b1}.fit", s.root))
    }),
    kind("name_not_utf8", "bytes in the name that are not UTF-8", "name_not_utf8", |s| {
        let mut name = s.root.clone().into_bytes();
        name.extend_from_slice(b"\xff\xfe.fit");
        s.named(OsString::from_vec(name))
    }),
    kind("name_too_long", "a name of 240 bytes", "name_too_long", |s| {
        s.named(format!("{}{}.fit", s.root, "x".repeat(236 - s.root.len())))
    }),
    kind("name_twice", "two names that differ in case only", "name_duplicate", |s| {
        let first = OsString::from(s.root.to_uppercase() + ".fit");
        let mut made = s.only(Entry::Bytes(s.image.clone()));
        made.files.insert(0, (first, Entry::Bytes(s.image.clone())));
        made
    }),
];
