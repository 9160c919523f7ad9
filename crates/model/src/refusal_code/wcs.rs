//! Codes of world coordinate systems.

use super::Remedy::Words;
use super::codes;

/// The remedy when an image has no usable coordinates: its catalogue may still have positions.
const NO_COORDINATES: super::Remedy = Words(
    "correct the coordinate keywords at the provider; footprint and centre of the detector are NULL until then",
);
/// The remedy when the header has more than is applied.
const APPLIED: super::Remedy =
    Words("compare positions with a reference catalogue, and correct the header where they differ");

codes! { COORDINATES "World coordinate systems"
    WCS_ABSENT = "wcs_absent", Finding, Words("nothing for raw and calibration frames; others need CTYPEn")
        => "The header has no celestial axes.";
    WCS_MISSING_KEYWORD = "wcs_missing_keyword", Finding, NO_COORDINATES => "A keyword that the projection needs is missing.";
    WCS_NOT_A_NUMBER = "wcs_not_a_number", Finding, NO_COORDINATES => "A coordinate keyword has a text where a number is needed.";
    WCS_NOT_FINITE = "wcs_not_finite", Finding, NO_COORDINATES => "A coordinate keyword is infinite or not a number.";
    WCS_NOT_CELESTIAL = "wcs_not_celestial", Finding, NO_COORDINATES => "CTYPEn names no celestial longitude or latitude.";
    WCS_UNMATCHED_AXES = "wcs_unmatched_axes", Finding, NO_COORDINATES => "The two axes do not form a pair, e.g. RA with GLAT or TAN with SIN.";
    WCS_UNSUPPORTED_PROJECTION = "wcs_unsupported_projection", Finding, NO_COORDINATES => "The projection is not supported.";
    WCS_UNSUPPORTED_PARAMETER = "wcs_unsupported_parameter", Finding, NO_COORDINATES => "A parameter of the projection has an unsupported value.";
    WCS_BAD_UNIT = "wcs_bad_unit", Finding, NO_COORDINATES => "CUNITn is not a unit of angle.";
    WCS_UNKNOWN_FRAME = "wcs_unknown_frame", Finding, NO_COORDINATES => "The reference frame is not one that is converted to the ICRS.";
    WCS_BAD_EQUINOX = "wcs_bad_equinox", Finding, NO_COORDINATES => "EQUINOX is not a year.";
    WCS_IMPOSSIBLE_SPHERE = "wcs_impossible_sphere", Finding, NO_COORDINATES => "No orientation of the sphere fits LONPOLE, LATPOLE and the reference point.";
    WCS_BAD_LATITUDE = "wcs_bad_latitude", Finding, NO_COORDINATES => "The reference latitude is beyond a pole.";
    WCS_SINGULAR_MATRIX = "wcs_singular_matrix", Finding, NO_COORDINATES => "The matrix from pixels to degrees has no inverse.";
    WCS_BAD_POLYNOMIAL = "wcs_bad_polynomial", Finding, NO_COORDINATES => "The radial polynomial does not increase at the reference point.";
    WCS_OFF_SKY = "wcs_off_sky", Finding, NO_COORDINATES => "A pixel of the image is outside the area of the projection.";
    WCS_TOO_LARGE = "wcs_too_large", Finding, NO_COORDINATES => "The image covers more than a hemisphere.";
    WCS_EMPTY_IMAGE = "wcs_empty_image", Finding, NO_COORDINATES => "The image has no pixels along one axis.";
    WCS_DISTORTION_NOT_APPLIED = "wcs_distortion_not_applied", Finding, APPLIED => "The header describes a distortion other than the applied one.";
    WCS_SIP_UNANNOUNCED = "wcs_sip_unannounced", Finding, APPLIED => "SIP coefficients are applied, and no CTYPEn ends in -SIP.";
    WCS_SIP_MISSING = "wcs_sip_missing", Finding, APPLIED => "CTYPEn ends in -SIP, and the header has no SIP coefficients.";
    WCS_FRAME_CONTRADICTED = "wcs_frame_contradicted", Finding, APPLIED => "Two keywords name different reference frames; the message names the one that counts.";
}
