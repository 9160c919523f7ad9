//! What is worth a finding in a header whose coordinates are used.

/// One thing that a header says beside what is applied.
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
    /// Another distortion than the one that is applied.
    pub(super) fn not_applied(keyword: &str, message: String) -> Self {
        Self { code: "wcs_distortion_not_applied", keyword: keyword.to_owned(), message }
    }

    /// SIP coefficients that are applied although no CTYPE ends in -SIP.
    pub(super) fn unannounced(keyword: &str) -> Self {
        let message = format!("SIP is applied, and {keyword} does not end in -SIP");
        Self { code: "wcs_sip_unannounced", keyword: keyword.to_owned(), message }
    }

    /// A CTYPE that ends in -SIP without coefficients.
    pub(super) fn without_coefficients(keyword: &str) -> Self {
        let message = format!("{keyword} ends in -SIP, and there are no SIP coefficients");
        Self { code: "wcs_sip_missing", keyword: keyword.to_owned(), message }
    }

    /// A second name of the reference system that differs from the one that counts.
    pub(super) fn second_frame(keyword: &str, found: &str, counted: &str) -> Self {
        let message = format!("{keyword} = {found:?} differs from {counted}, which counts");
        Self { code: "wcs_frame_contradicted", keyword: keyword.to_owned(), message }
    }
}
