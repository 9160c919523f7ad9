//! Names of frames: file names without the endings that denote the storage format.

/// Endings of FITS files and of the compressions in which they are accepted.
const ENDINGS: [&str; 5] = [".fit", ".fits", ".fts", ".fz", ".gz"];

/// Returns the name of the frame in a file: the file name without FITS and compression endings, of any case and in any
/// number. The name is never empty.
///
/// Images of one frame name are versions of one frame: `a.fit`, `a.fits`, `a.fit.gz` and `a.FITS.fz` have the same
/// name.
pub fn frame_name(file: &str) -> &str {
    let mut name = file;
    while let Some(shorter) = without_ending(name) {
        name = shorter;
    }
    name
}

fn without_ending(name: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| {
        let (stem, last) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
        (!stem.is_empty() && last.eq_ignore_ascii_case(ending)).then_some(stem)
    })
}

#[cfg(test)]
mod tests {
    use super::frame_name;

    #[test]
    fn endings_are_no_part_of_a_frame_s_name() {
        let cases = [
            ("w20071011_00100_st.fit", "w20071011_00100_st"),
            ("w20071011_00100_st.fit.gz", "w20071011_00100_st"),
            ("w20071011_00100_st.fits", "w20071011_00100_st"),
            ("w20071011_00100_st.fits.fz", "w20071011_00100_st"),
            ("w20071011_00100_st.FITS.GZ", "w20071011_00100_st"),
            ("w20071011_00100_st.Fts", "w20071011_00100_st"),
            ("w20071011_00100_st.fits.fz.gz", "w20071011_00100_st"),
            ("w20071011_00100_st", "w20071011_00100_st"),
            ("a.b.fit", "a.b"),
            ("a.fit.b", "a.fit.b"),
            ("afit", "afit"),
            ("a_fit.fit", "a_fit"),
            ("a.fits_2.fit", "a.fits_2"),
            ("A.fit", "A"), // the case of the rest is kept
            ("a.cat", "a.cat"),
            ("a.fits.bz2", "a.fits.bz2"), // not accepted as FITS
            ("a.fits.Z", "a.fits.Z"),
            (".fit", ".fit"), // nothing would be left
            (".fit.gz", ".fit"),
            ("é.fit", "é"),
            ("aé", "aé"),
            ("", ""),
        ];
        for (file, wanted) in cases {
            assert_eq!(frame_name(file), wanted, "{file}");
            assert_eq!(frame_name(wanted), wanted, "the name of {file} is final");
        }
    }
}
