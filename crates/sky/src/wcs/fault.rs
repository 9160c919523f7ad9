//! Faults of a world coordinate system, and the keywords at fault.

/// The reason that a header has no usable world coordinate system.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WcsFault {
    /// The header has no celestial axes at all: not an error for a raw or calibration frame.
    #[error("no celestial axes: {keyword} is missing")]
    Absent {
        /// The keyword that would name the first axis.
        keyword: String,
    },
    /// A keyword that the projection needs is missing.
    #[error("keyword {keyword} is missing")]
    MissingKeyword {
        /// The keyword.
        keyword: String,
    },
    /// A keyword holds text where a number is needed.
    #[error("keyword {keyword} holds {found:?}, not a number")]
    NotANumber {
        /// The keyword.
        keyword: String,
        /// Its text.
        found: String,
    },
    /// A keyword holds an infinity or NaN.
    #[error("keyword {keyword} is not finite")]
    NotFinite {
        /// The keyword.
        keyword: String,
    },
    /// An axis type that is not a celestial longitude or latitude.
    #[error("keyword {keyword} names no celestial axis: {found:?}")]
    NotCelestial {
        /// The keyword.
        keyword: String,
        /// Its text.
        found: String,
    },
    /// Two axes that do not form a pair (RA with GLAT, TAN with SIN, longitude twice).
    #[error("keyword {keyword} holds {found:?}, which is not a partner of {partner:?}")]
    UnmatchedAxes {
        /// Keyword of the second axis.
        keyword: String,
        /// Its text.
        found: String,
        /// The type of the first axis.
        partner: String,
    },
    /// A projection this crate does not compute.
    #[error("keyword {keyword} names projection {projection:?}, which is not supported")]
    UnsupportedProjection {
        /// The keyword.
        keyword: String,
        /// The three-letter code, or the distortion code.
        projection: String,
    },
    /// A parameter with a value this crate does not compute.
    #[error("keyword {keyword} has the unsupported value {value}")]
    UnsupportedParameter {
        /// The keyword.
        keyword: String,
        /// Its value.
        value: f64,
    },
    /// A unit that is not an angle.
    #[error("keyword {keyword} holds {found:?}, which is not a unit of angle")]
    BadUnit {
        /// The keyword.
        keyword: String,
        /// Its text.
        found: String,
    },
    /// A reference frame that is not converted to the ICRS.
    #[error("keyword {keyword} holds {found:?}, which is not a reference frame that is converted")]
    UnknownFrame {
        /// The keyword.
        keyword: String,
        /// Its text.
        found: String,
    },
    /// An impossible equinox.
    #[error("keyword {keyword} holds {found:?}, which is not an equinox in years")]
    BadEquinox {
        /// The keyword.
        keyword: String,
        /// Its value as text.
        found: String,
    },
    /// A description of the native sphere that no orientation satisfies.
    #[error(
        "keyword {keyword}: no orientation of the sphere fits LONPOLE, LATPOLE and the reference point"
    )]
    ImpossibleSphere {
        /// Keyword of the reference latitude.
        keyword: String,
    },
    /// The reference latitude is beyond a pole.
    #[error("keyword {keyword} is {value}, beyond a pole")]
    BadLatitude {
        /// The keyword.
        keyword: String,
        /// Its value in degrees.
        value: f64,
    },
    /// The matrix from pixels to degrees cannot be inverted.
    #[error("the matrix beginning with keyword {keyword} is singular")]
    SingularMatrix {
        /// First keyword of the matrix.
        keyword: String,
    },
    /// A radial polynomial that does not grow at the reference point, so that it has no inverse.
    #[error("the radial polynomial of keyword {keyword} does not increase at the reference point")]
    BadPolynomial {
        /// Keyword of the linear coefficient.
        keyword: String,
    },
    /// A pixel of the image is outside the area that the projection covers.
    #[error("pixel ({x}, {y}) is outside of the projection")]
    OffSky {
        /// FITS pixel coordinate.
        x: f64,
        /// FITS pixel coordinate.
        y: f64,
    },
    /// An image that extends further than a quarter of a turn from its centre.
    #[error("the image covers more than a hemisphere")]
    TooLarge,
    /// An image side of no pixels.
    #[error("an image of {nx} x {ny} pixels covers no sky")]
    EmptyImage {
        /// Pixels along the first axis.
        nx: u64,
        /// Pixels along the second axis.
        ny: u64,
    },
}

impl WcsFault {
    /// Returns the machine-readable reason, one per kind.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "wcs_absent",
            Self::MissingKeyword { .. } => "wcs_missing_keyword",
            Self::NotANumber { .. } => "wcs_not_a_number",
            Self::NotFinite { .. } => "wcs_not_finite",
            Self::NotCelestial { .. } => "wcs_not_celestial",
            Self::UnmatchedAxes { .. } => "wcs_unmatched_axes",
            Self::UnsupportedProjection { .. } => "wcs_unsupported_projection",
            Self::UnsupportedParameter { .. } => "wcs_unsupported_parameter",
            Self::BadUnit { .. } => "wcs_bad_unit",
            Self::UnknownFrame { .. } => "wcs_unknown_frame",
            Self::BadEquinox { .. } => "wcs_bad_equinox",
            Self::ImpossibleSphere { .. } => "wcs_impossible_sphere",
            Self::BadLatitude { .. } => "wcs_bad_latitude",
            Self::SingularMatrix { .. } => "wcs_singular_matrix",
            Self::BadPolynomial { .. } => "wcs_bad_polynomial",
            Self::OffSky { .. } => "wcs_off_sky",
            Self::TooLarge => "wcs_too_large",
            Self::EmptyImage { .. } => "wcs_empty_image",
        }
    }

    /// Returns the keyword at fault, if any.
    pub fn keyword(&self) -> Option<&str> {
        match self {
            Self::Absent { keyword }
            | Self::MissingKeyword { keyword }
            | Self::NotANumber { keyword, .. }
            | Self::NotFinite { keyword }
            | Self::NotCelestial { keyword, .. }
            | Self::UnmatchedAxes { keyword, .. }
            | Self::UnsupportedProjection { keyword, .. }
            | Self::UnsupportedParameter { keyword, .. }
            | Self::BadUnit { keyword, .. }
            | Self::UnknownFrame { keyword, .. }
            | Self::BadEquinox { keyword, .. }
            | Self::ImpossibleSphere { keyword }
            | Self::BadLatitude { keyword, .. }
            | Self::SingularMatrix { keyword }
            | Self::BadPolynomial { keyword } => Some(keyword),
            Self::OffSky { .. } | Self::TooLarge | Self::EmptyImage { .. } => None,
        }
    }
}
