//! Files that are no FITS, or packed in an unsupported way.

use super::{Build, Damage, Entry, Finder, Made, Scope, Sound};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const fn kind(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    build: fn(&Sound) -> Made,
) -> Damage {
    Damage {
        name,
        description,
        code,
        scope: Scope::File,
        finder: Finder::Arrival,
        build: Build::Files(build),
    }
}

pub(super) static KINDS: [Damage; 11] = [
    kind("text", "a text file named like an image", "not_fits", |s| {
        s.only_image(b"The night was cloudy; no frames were taken.\n".repeat(80))
    }),
    kind("noise", "random bytes named like an image", "not_fits", |s| {
        s.only_image(s.image.iter().map(|b| b.wrapping_mul(167).rotate_left(3) ^ 0x5a).collect())
    }),
    kind("empty", "no bytes at all", "empty_file", |s| s.only_image(Vec::new())),
    kind("bzip2", "packed by bzip2", "wrapped_bzip2", |s| packed(s, b"BZh91AY&SY")),
    kind("xz", "packed by xz", "wrapped_xz", |s| packed(s, b"\xfd7zXZ\x00\x00\x04")),
    kind("zip", "packed by zip", "wrapped_zip", |s| packed(s, b"PK\x03\x04\x14\x00\x00\x00")),
    kind("zstd", "packed by zstd", "wrapped_zstd", |s| packed(s, b"\x28\xb5\x2f\xfd\x04\x58")),
    kind("compress", "packed by compress", "wrapped_compress", |s| packed(s, b"\x1f\x9d\x90")),
    kind("gzip_cut", "a gzip stream that breaks off", "gzip_damaged", |s| {
        let mut bytes = gzip(&s.image);
        bytes.truncate(bytes.len() * 2 / 3);
        s.only_image(bytes)
    }),
    kind("gzip_crc", "a gzip stream whose check sum is wrong", "gzip_damaged", |s| {
        let mut bytes = gzip(&s.image);
        let end = bytes.len();
        bytes[end - 6] ^= 0x55;
        s.only_image(bytes)
    }),
    kind("gzip_bomb", "a gzip stream of 1 GB of zeros in 1 MB", "gzip_bomb", |s| {
        s.only(Entry::Bytes(bomb(&s.image, 1 << 30)))
    }),
];

/// Returns a gzip stream that begins like an image and continues with zeros, with a given number of bytes after
/// unpacking. Members of 16 MB follow each other, so that making it needs no memory.
pub fn bomb(image: &[u8], unpacked_bytes: usize) -> Vec<u8> {
    const MEMBER_BYTES: usize = 16 << 20;
    let mut begin = image.iter().copied().take(2880).collect::<Vec<u8>>();
    begin.resize(begin.len().max(unpacked_bytes % MEMBER_BYTES), 0);
    let mut packed = gzip(&begin);
    let member = gzip(&vec![0; MEMBER_BYTES]);
    for _ in 0..unpacked_bytes / MEMBER_BYTES {
        packed.extend_from_slice(&member);
    }
    packed
}

/// Returns bytes that begin like a packer's output.
fn packed(sound: &Sound, magic: &[u8]) -> Made {
    let mut bytes = magic.to_vec();
    bytes.extend(sound.image.iter().map(|b| b.wrapping_mul(29) ^ 0x3c));
    sound.only_image(bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}
