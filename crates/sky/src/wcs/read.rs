//! From the keywords of a header to a [`Wcs`].

use super::axes::{Axes, CelestialSystem};
use super::distortion::{self, Distortion};
use super::fault::WcsFault;
use super::keywords::{Cards, Keywords, Spelling};
use super::linear::{self, Matrix};
use super::projection::Projection;
use super::sphere::Sphere;
use super::zpn::{COEFFICIENTS, Zpn};
use super::{Wcs, linear::degrees_per_unit};
use crate::position::SkyPosition;

impl Wcs {
    /// From the keywords of an image (CTYPE1, CRPIX1, CD1_1, PV2_3 ...); the celestial axes are the first two.
    ///
    /// # Errors
    /// [`WcsFault::Absent`] without CTYPEs; otherwise the fault, with its keyword.
    pub fn from_image<K: Keywords + ?Sized>(header: &K) -> Result<Self, WcsFault> {
        read(&Cards::new(header, Spelling::Image))
    }

    /// From the keywords of a table whose columns `x_column` and `y_column` (the first is 1) hold pixel
    /// coordinates: TCTYP3, TCRPX3, TCRVL3, TC3_5 or TCD3_5, TV5_3 or TPV5_3 ...
    ///
    /// # Errors
    /// [`WcsFault::Absent`] without TCTYPs; otherwise the fault, with its keyword.
    pub fn from_table<K: Keywords + ?Sized>(
        header: &K,
        x_column: u16,
        y_column: u16,
    ) -> Result<Self, WcsFault> {
        read(&Cards::new(header, Spelling::Table { x_column, y_column }))
    }

    /// From the header of a catalogue: the table keywords where there are any, else those of the image, which
    /// WFCAM's catalogues keep.
    ///
    /// # Errors
    /// As [`Wcs::from_table`], or as [`Wcs::from_image`] when the table keywords are absent.
    pub fn from_catalogue<K: Keywords + ?Sized>(
        header: &K,
        x_column: u16,
        y_column: u16,
    ) -> Result<Self, WcsFault> {
        match Self::from_table(header, x_column, y_column) {
            Err(WcsFault::Absent { .. }) => Self::from_image(header),
            other => other,
        }
    }
}

fn read<K: Keywords + ?Sized>(cards: &Cards<'_, K>) -> Result<Wcs, WcsFault> {
    let axes = Axes::read(cards)?;
    let sip = read_sip(cards, &axes)?;
    let (projection, tpv) = read_projection(cards, &axes, sip.is_some())?;
    let units = [degrees_per_unit(cards.unit(0))?, degrees_per_unit(cards.unit(1))?];
    let (matrix, inverse) = read_matrix(cards, &axes, units)?;
    let (longitude_deg, latitude_deg) = read_reference(cards, &axes, units)?;
    let pole_longitude_deg = read_pole_longitude(cards, &axes, tpv.is_some(), latitude_deg)?;
    let sphere = Sphere::new(longitude_deg, latitude_deg, pole_longitude_deg, axes.system);
    let reference = match axes.system {
        CelestialSystem::Equatorial => {
            SkyPosition { ra_deg: longitude_deg, dec_deg: latitude_deg } // as written
        }
        CelestialSystem::Galactic => sphere.pole.position(),
    };
    let mut wcs = Wcs {
        reference_pixel: [cards.reference_pixel(0)?, cards.reference_pixel(1)?],
        reference,
        sip,
        matrix,
        inverse,
        tpv,
        projection,
        sphere,
        system: axes.system,
        latitude_first: axes.latitude() == 0,
        reference_system: cards.reference_system(),
        equinox: cards.equinox(),
        reference_area: None,
    };
    let [x, y] = wcs.reference_pixel;
    wcs.reference_area = wcs.local_jacobian(x, y).map(|j| j.determinant().abs());
    Ok(wcs)
}

fn read_sip<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axes: &Axes,
) -> Result<Option<Box<Distortion>>, WcsFault> {
    match axes.distortion.as_deref() {
        None | Some("SIP") => Ok(distortion::read_sip(cards)?.map(Box::new)),
        Some(code) => Err(WcsFault::UnsupportedProjection {
            keyword: axes.keyword.clone(),
            projection: code.to_owned(),
        }),
    }
}

fn read_projection<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axes: &Axes,
    has_sip: bool,
) -> Result<(Projection, Option<Box<Distortion>>), WcsFault> {
    let plain = |p: Projection| Ok((p, None));
    match axes.projection.as_str() {
        // With SIP beside them, PV keywords are left-overs of SCAMP.
        "TAN" if has_sip || !distortion::tan_is_tpv(cards) => plain(Projection::Tan),
        "TAN" | "TPV" => Ok((Projection::Tan, Some(Box::new(distortion::read_tpv(cards, axes)?)))),
        "ZPN" => plain(Projection::Zpn(Box::new(read_zpn(cards, axes.latitude())?))),
        "SIN" if slant(cards, axes)? == 0.0 => plain(Projection::Sin),
        "ARC" => plain(Projection::Arc),
        "STG" => plain(Projection::Stg),
        "ZEA" => plain(Projection::Zea),
        code => Err(WcsFault::UnsupportedProjection {
            keyword: axes.keyword.clone(),
            projection: code.to_owned(),
        }),
    }
}

/// The slant parameters of SIN (an interferometer's projection when not 0).
fn slant<K: Keywords + ?Sized>(cards: &Cards<'_, K>, axes: &Axes) -> Result<f64, WcsFault> {
    let parameter = |m| Ok(cards.parameter(axes.latitude(), m)?.unwrap_or(0.0).abs());
    Ok(parameter(1)? + parameter(2)?)
}

fn read_zpn<K: Keywords + ?Sized>(cards: &Cards<'_, K>, latitude: usize) -> Result<Zpn, WcsFault> {
    let mut coefficients = [0.0; COEFFICIENTS];
    for (m, coefficient) in coefficients.iter_mut().enumerate() {
        *coefficient = match cards.radial_parameter(latitude, m as u16)? {
            Some(value) => value,
            None if m == 1 => {
                let keyword = cards.parameter_keyword(latitude, 1);
                return Err(WcsFault::MissingKeyword { keyword });
            }
            None => 0.0,
        };
    }
    let keyword = || cards.parameter_keyword(latitude, 1);
    Zpn::new(coefficients).ok_or_else(|| WcsFault::BadPolynomial { keyword: keyword() })
}

/// Degrees per pixel with the longitude in the first row, and the inverse.
fn read_matrix<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axes: &Axes,
    units: [f64; 2],
) -> Result<(Matrix, Matrix), WcsFault> {
    let Matrix(mut rows) = linear::read(cards, axes.latitude())?;
    for (row, unit) in rows.iter_mut().zip(units) {
        *row = row.map(|v| v * unit);
    }
    let matrix = Matrix([rows[axes.longitude], rows[axes.latitude()]]);
    let singular = || WcsFault::SingularMatrix { keyword: cards.cd_keyword(0, 0) };
    let inverse = matrix.inverse().ok_or_else(singular)?;
    Ok((matrix, inverse))
}

/// Longitude (0 to 360) and latitude of the reference point in degrees.
fn read_reference<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axes: &Axes,
    units: [f64; 2],
) -> Result<(f64, f64), WcsFault> {
    let (_, longitude) = cards.reference_value(axes.longitude)?;
    let (keyword, latitude) = cards.reference_value(axes.latitude())?;
    let latitude = latitude * units[axes.latitude()];
    if latitude.abs() > 90.0 {
        return Err(WcsFault::BadLatitude { keyword, value: latitude });
    }
    Ok(((longitude * units[axes.longitude]).rem_euclid(360.0), latitude))
}

/// LONPOLE, or its other name PV1_3; 180 by default, but 0 at the pole itself.
///
/// PV1_1 and PV1_2 would move the reference point off the native pole; only their defaults 0 and 90 are taken.
/// In TPV these numbers mean something else.
fn read_pole_longitude<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axes: &Axes,
    is_tpv: bool,
    latitude_deg: f64,
) -> Result<f64, WcsFault> {
    let default = if latitude_deg >= 90.0 { 0.0 } else { 180.0 };
    let mut pole = cards.pole_longitude(axes.longitude)?;
    if !is_tpv {
        for (m, standard) in [(1, 0.0), (2, 90.0)] {
            let value = cards.parameter(axes.longitude, m)?.unwrap_or(standard);
            if value != standard {
                let keyword = cards.parameter_keyword(axes.longitude, m);
                return Err(WcsFault::UnsupportedParameter { keyword, value });
            }
        }
        pole = cards.parameter(axes.longitude, 3)?.or(pole);
    }
    Ok(pole.unwrap_or(default).rem_euclid(360.0))
}
