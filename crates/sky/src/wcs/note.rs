//! Notes on a header whose coordinates are used, each worth a finding.

/// A note on header contents that differ from the applied coordinate system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WcsNote {
    /// The machine-readable kind.
    pub code: &'static str,
    /// The keyword that it is about.
    pub keyword: String,
    /// One sentence.
    pub message: String,
}

impl WcsNote {
    /// Makes the note on a distortion that differs from the applied one.
    pub(super) fn not_applied(keyword: &str, message: String) -> Self {
        Self { code: "wcs_distortion_not_applied", keyword: keyword.to_owned(), message }
    }

    /// Makes the note on SIP coefficients that are applied although no CTYPE ends in -SIP.
    pub(super) fn unannounced(keyword: &str) -> Self {
        let message = format!("SIP is applied, and {keyword} does not end in -SIP");
        Self { code: "wcs_sip_unannounced", keyword: keyword.to_owned(), message }
    }

    /// Makes the note on a CTYPE that ends in -SIP without coefficients.
    pub(super) fn without_coefficients(keyword: &str) -> Self {
        let message = format!("{keyword} ends in -SIP, and there are no SIP coefficients");
        Self { code: "wcs_sip_missing", keyword: keyword.to_owned(), message }
    }

    /// Makes the note on a second name of the reference system that differs from the one used.
    pub(super) fn second_frame(keyword: &str, found: &str, counted: &str) -> Self {
        let message = format!("{keyword} = {found:?} differs from {counted}, which counts");
        Self { code: "wcs_frame_contradicted", keyword: keyword.to_owned(), message }
    }
}
