//! Names of JPEGs: made from the name of the image alone, so that no two files of a delivery ever have the same one.
//!
//! Nodes name their JPEGs by these rules, and the curator accepts, moves and deletes no file of another name.

use crate::{DeliveryName, ExtNum, MultiframeId};

/// Longest name of an image that is used unchanged in a name; file systems allow 255 bytes.
const NAME_BYTES_MAX: usize = 200;

/// Returns the name of a detector's preview.
pub fn of_detector(root: &str, ext_num: ExtNum) -> String {
    format!("{root}_{ext_num}.jpg")
}

/// Returns true when a JPEG shows one detector, judged by its name; otherwise it is a mosaic.
pub fn is_of_detector(name: &str) -> bool {
    name.strip_suffix(".jpg").is_some_and(ends_like_detector)
}

/// Returns the name of a multiframe's mosaic.
pub fn of_mosaic(root: &str) -> String {
    format!("{root}.jpg")
}

/// Returns the path of a preview below the site's previews: `ext_num` 0 is the mosaic of the multiframe. `None` for an
/// extension number that no detector has.
pub fn path(
    delivery: &DeliveryName,
    image: &str,
    multiframe_id: MultiframeId,
    ext_num: i64,
) -> Option<String> {
    let root = root(image, multiframe_id);
    let name = match ext_num {
        0 => of_mosaic(&root),
        ext_num => of_detector(&root, ExtNum::new(ext_num.try_into().ok()?)?),
    };
    Some(format!("{delivery}/{name}"))
}

/// Splits the name of a JPEG into the root of its image and the extension number, 0 for a mosaic. `None` when no image has a
/// preview of this name.
pub fn parts(jpeg: &str) -> Option<(&str, i16)> {
    let stem = jpeg.strip_suffix(".jpg")?;
    if !ends_like_detector(stem) {
        return Some((stem, 0));
    }
    let (root, number) = stem.rsplit_once('_')?;
    Some((root, ExtNum::new(number.parse().ok()?)?.get()))
}

/// Returns the root with which the names of an image's previews begin.
///
/// `w20071011_00100_st.fit` gives `w20071011_00100_st`. Other endings are kept: `a.fits` and `a.fits.fz` may exist
/// next to `a.fit`. So is the ending of a name whose root resembles that of a detector (`dark_1.fit` next to `dark.fit`).
/// Names with unusual characters, or without an ending, get the number of the multiframe.
pub fn root(image: &str, multiframe_id: MultiframeId) -> String {
    // Three kinds of roots: without a dot; with a dot and no mark; with a mark, which no two multiframes share. No root
    // of the first two kinds equals another root with an extension number.
    if let Some(root) = image.strip_suffix(".fit")
        && is_plain(root)
        && !root.contains('.')
        && !ends_like_detector(root)
    {
        return root.to_owned();
    }
    if is_plain(image) && image.contains('.') && !ends_like_detector(image) && !has_mark(image) {
        return image.to_owned();
    }
    let plain: String = image.chars().take(NAME_BYTES_MAX).map(plain_or_dash).collect();
    let plain = match plain.trim_start_matches(['.', '-']) {
        "" => "image",
        plain => plain,
    };
    format!("{plain}.m{multiframe_id}")
}

/// Returns true for a name of letters, digits and a few signs without special meaning in a shell, a URL or a page.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| plain_or_dash(c) == c)
}

fn plain_or_dash(c: char) -> char {
    if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '-' }
}

/// Returns true when a root ends in `_` and an extension number as written here.
fn ends_like_detector(root: &str) -> bool {
    root.rsplit_once('_').is_some_and(|(_, number)| is_number(number))
}

/// Returns true when a name ends in `.m` and a number.
fn has_mark(name: &str) -> bool {
    name.rsplit_once(".m").is_some_and(|(_, number)| is_number(number))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn seven() -> MultiframeId {
        MultiframeId::new(7).unwrap()
    }

    #[test]
    fn roots() {
        let cases = [
            ("w20071011_00100_st.fit", "w20071011_00100_st"),
            ("w20071011_00100.fit", "w20071011_00100"),
            ("hawki_stack.fits.fz", "hawki_stack.fits.fz"),
            ("dark_20071011_10_CDS_1.fit", "dark_20071011_10_CDS_1.fit"),
            ("a.b.fit", "a.b.fit"),
            ("image", "image.m7"),
            ("a.fits_2", "a.fits_2.m7"),
            ("a.m12", "a.m12.m7"),
            ("night 1/$(rm).fit", "night-1---rm-.fit.m7"),
            ("../../etc/passwd", "etc-passwd.m7"),
            ("\u{1b}[2J<script>.fit", "2J-script-.fit.m7"),
            ("é.fit", "fit.m7"),
            ("", "image.m7"),
            ("---", "image.m7"),
        ];
        for (name, wanted) in cases {
            let root = root(name, seven());
            assert!(root.ends_with(wanted) && root.len() <= wanted.len() + 1, "{name:?}: {root}");
            assert!(!root.contains('/') && !root.contains(".."), "{name:?}: {root}");
        }
        assert!(root(&"ä".repeat(5000), seven()).len() < 255);
    }

    #[test]
    fn a_name_has_one_root_and_number() {
        for image in ["w1_st.fit", "dark_1.fit", "a.fits_2", "image", "night 1/$(rm).fit"] {
            let root = root(image, seven());
            assert_eq!(parts(&of_mosaic(&root)), Some((root.as_str(), 0)), "{image}");
            for number in [1, 2, i16::MAX] {
                let jpeg = of_detector(&root, ExtNum::new(number).unwrap());
                assert_eq!(parts(&jpeg), Some((root.as_str(), number)), "{image}");
                let wanted = format!("night/{jpeg}");
                assert_eq!(
                    path(&"night".parse().unwrap(), image, seven(), number.into()),
                    Some(wanted)
                );
            }
        }
        for odd in ["w1", "w1_40000.jpg", ".jpg/x"] {
            assert_eq!(parts(odd), None, "{odd}");
        }
        assert_eq!(path(&"night".parse().unwrap(), "w1.fit", seven(), -1), None);
        assert_eq!(path(&"night".parse().unwrap(), "w1.fit", seven(), 40_000), None);
    }

    #[test]
    fn no_two_files_meet() {
        let endings =
            ["", ".fit", ".fits", ".fit.fz", ".fit.gz", ".fz", ".m1", ".m2", ".jpg", "_2"];
        let mut names: HashSet<String> = HashSet::new();
        for stem in ["a", "a_2", "a_2_2", "a_02", "a b", "a-b", ".a", "a.fit", "a.m1", "a.m2_2"] {
            names.extend(endings.iter().map(|ending| format!("{stem}{ending}")));
        }
        let mut given = HashSet::new();
        for (id, name) in (1..).filter_map(MultiframeId::new).zip(&names) {
            let root = root(name, id);
            let mut jpegs = vec![of_mosaic(&root)];
            jpegs.extend((1..40).map(|n| of_detector(&root, ExtNum::new(n).unwrap())));
            for jpeg in jpegs {
                assert!(given.insert(jpeg.clone()), "{name}: {jpeg} is given already");
            }
        }
    }
}
