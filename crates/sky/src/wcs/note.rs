//! Notes on a header whose coordinates are used, each worth a finding.

/// A note on header contents that differ from the applied coordinate system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WcsNote {
    /// The kind.
    pub kind: WcsNoteKind,
    /// The keyword that it is about.
    pub keyword: String,
    /// One sentence.
    pub message: String,
}

/// The kind of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WcsNoteKind {
    /// A distortion of the header differs from the applied one.
    DistortionNotApplied,
    /// SIP coefficients are applied although no CTYPE ends in -SIP.
    SipUnannounced,
    /// A CTYPE ends in -SIP, and there are no coefficients.
    SipMissing,
    /// A second name of the reference system differs from the one used.
    FrameContradicted,
}

impl WcsNoteKind {
    /// Returns the machine-readable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::DistortionNotApplied => "wcs_distortion_not_applied",
            Self::SipUnannounced => "wcs_sip_unannounced",
            Self::SipMissing => "wcs_sip_missing",
            Self::FrameContradicted => "wcs_frame_contradicted",
        }
    }
}

impl WcsNote {
    /// Makes the note on a distortion that differs from the applied one.
    pub(super) fn not_applied(keyword: &str, message: String) -> Self {
        Self { kind: WcsNoteKind::DistortionNotApplied, keyword: keyword.to_owned(), message }
    }

    /// Makes the note on SIP coefficients that are applied although no CTYPE ends in -SIP.
    pub(super) fn unannounced(keyword: &str) -> Self {
        let message = format!("SIP is applied, and {keyword} does not end in -SIP");
        Self { kind: WcsNoteKind::SipUnannounced, keyword: keyword.to_owned(), message }
    }

    /// Makes the note on a CTYPE that ends in -SIP without coefficients.
    pub(super) fn without_coefficients(keyword: &str) -> Self {
        let message = format!("{keyword} ends in -SIP, and there are no SIP coefficients");
        Self { kind: WcsNoteKind::SipMissing, keyword: keyword.to_owned(), message }
    }

    /// Makes the note on a second name of the reference system that differs from the one used.
    pub(super) fn second_frame(keyword: &str, found: &str, counted: &str) -> Self {
        let message = format!("{keyword} = {found:?} differs from {counted}, which counts");
        Self { kind: WcsNoteKind::FrameContradicted, keyword: keyword.to_owned(), message }
    }
}
