//! Reading a [`Wcs`] from the keywords of a header.

use super::Wcs;
use super::axes::{Axes, CelestialSystem};
use super::choice::{self, Choice};
use super::cube::Cube;
use super::facets::Hpx;
use super::fault::WcsFault;
use super::flat::{Conic, ConicKind, Flat};
use super::keywords::{Cards, Keywords, Spelling};
use super::linear::{self, Matrix, degrees_per_unit};
use super::native::Native;
use super::note::WcsNote;
use super::perspective::{Air, Azp, Szp};
use super::projection::Projection;
use super::sphere::Sphere;
use super::zpn::{COEFFICIENTS, Zpn};
use crate::position::SkyPosition;
use crate::reference_frame::{FrameFault, ReferenceFrame, ToIcrs};
use crate::trig::sin_cos_deg;

/// The treatment of frames that are nearly the ICRS, or unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// True to rotate the FK5 of equinox 2000.0 to the ICRS (by 0.023 arcsec). Otherwise its positions are unchanged,
    /// since astrometry that was tied to an ICRS catalogue is often called FK5; galactic axes are then converted by the
    /// matrix of [`crate::galactic`].
    pub rotates_fk5_2000: bool,
    /// True to accept frames that cannot be converted; positions are then in the frame of the header.
    pub any_frame: bool,
}

impl Wcs {
    /// Reads the keywords of an image (CTYPE1, CRPIX1, CD1_1, PV2_3 ...); the celestial axes are the first two.
    ///
    /// # Errors
    /// [`WcsFault::Absent`] without CTYPEs; otherwise the fault, with its keyword.
    pub fn from_image<K: Keywords + ?Sized>(header: &K) -> Result<Self, WcsFault> {
        Self::read_image(header, Reading::default())
    }

    /// Reads as [`Wcs::from_image`], with a choice of the treatment of frames.
    ///
    /// # Errors
    /// As [`Wcs::from_image`].
    pub fn read_image<K: Keywords + ?Sized>(
        header: &K,
        reading: Reading,
    ) -> Result<Self, WcsFault> {
        read(&Cards::new(header, Spelling::Image), reading)
    }

    /// Reads the keywords of a table whose columns `x_column` and `y_column` (the first is 1) hold pixel coordinates:
    /// TCTYP3, TCRPX3, TCRVL3, TC3_5 or TCD3_5, TV5_3 or TPV5_3 ...
    ///
    /// # Errors
    /// [`WcsFault::Absent`] without TCTYPs; otherwise the fault, with its keyword.
    pub fn from_table<K: Keywords + ?Sized>(
        header: &K,
        x_column: u16,
        y_column: u16,
    ) -> Result<Self, WcsFault> {
        Self::read_table(header, x_column, y_column, Reading::default())
    }

    /// Reads as [`Wcs::from_table`], with a choice of the treatment of frames.
    ///
    /// # Errors
    /// As [`Wcs::from_table`].
    pub fn read_table<K: Keywords + ?Sized>(
        header: &K,
        x_column: u16,
        y_column: u16,
        reading: Reading,
    ) -> Result<Self, WcsFault> {
        read(&Cards::new(header, Spelling::Table { x_column, y_column }), reading)
    }

    /// Reads the header of a catalogue: the table keywords where there are any, else those of the image, which WFCAM's
    /// catalogues keep.
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

fn read<K: Keywords + ?Sized>(cards: &Cards<'_, K>, reading: Reading) -> Result<Wcs, WcsFault> {
    let axes = Axes::read(cards)?;
    let mut notes = Vec::new();
    let Choice { sip, tpv, without_parameters } = choice::choose(cards, &axes, &mut notes)?;
    let parameters = Parameters { cards, axes: &axes, used: tpv.is_none() && !without_parameters };
    let units = [degrees_per_unit(cards.unit(0))?, degrees_per_unit(cards.unit(1))?];
    let (matrix, inverse) = read_matrix(cards, &axes, units)?;
    let (longitude_deg, latitude_deg) = read_reference(cards, &axes, units)?;
    let projection = read_projection(&parameters, latitude_deg)?;
    let native = read_native(&parameters, &projection, latitude_deg)?;
    let impossible = || {
        let keyword = cards.reference_keyword(axes.latitude());
        WcsFault::ImpossibleSphere { keyword }
    };
    let pole = native.pole(longitude_deg, latitude_deg).ok_or_else(impossible)?;
    let frame = read_frame(cards, &axes, reading, &mut notes)?;
    let known = frame.unwrap_or(ReferenceFrame::Icrs);
    let to_icrs = if reading.rotates_fk5_2000 { known.to_icrs() } else { known.to_kept_fk5() };
    let (sphere, e_terms) = in_icrs(Sphere::new(pole), to_icrs);
    let plane_offset = match parameters.longitude(0)? {
        Some(flag) if flag != 0.0 || axes.projection == "GLS" => {
            Some(plane_offset(&projection, native).ok_or_else(impossible)?)
        }
        None if axes.projection == "GLS" => {
            Some(plane_offset(&projection, native).ok_or_else(impossible)?)
        }
        _ => None,
    };
    let written = SkyPosition { ra_deg: longitude_deg, dec_deg: latitude_deg };
    let mut wcs = Wcs {
        reference_pixel: [cards.reference_pixel(0)?, cards.reference_pixel(1)?],
        reference: to_icrs.position(written),
        sip,
        matrix,
        inverse,
        tpv,
        plane_offset,
        projection,
        sphere,
        e_terms,
        frame,
        reading,
        notes,
        system: axes.system,
        latitude_first: axes.latitude() == 0,
        reference_system: cards.reference_system().map(|(_, name)| name),
        equinox: cards.equinox().ok().flatten().map(|(_, years)| years),
        reference_area: None,
    };
    let [x, y] = wcs.reference_pixel;
    wcs.reference_area = wcs.local_jacobian(x, y).map(|j| j.determinant().abs());
    Ok(wcs)
}

/// Rotates the sphere to the ICRS when the transformation is a rotation; otherwise the transformation remains a
/// separate step.
fn in_icrs(sphere: Sphere, to_icrs: ToIcrs) -> (Sphere, Option<Box<ToIcrs>>) {
    if to_icrs.is_identity() {
        return (sphere, None);
    }
    match to_icrs.rotation() {
        Some(rotation) => (sphere.turned(rotation), None),
        None => (sphere, Some(Box::new(to_icrs))),
    }
}

/// Reads the frame of the axes; `None` when it is not known and any frame is accepted.
fn read_frame<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    axes: &Axes,
    reading: Reading,
    notes: &mut Vec<WcsNote>,
) -> Result<Option<ReferenceFrame>, WcsFault> {
    let make = match axes.system {
        CelestialSystem::Galactic => return Ok(Some(ReferenceFrame::Galactic)),
        CelestialSystem::Supergalactic => return Ok(Some(ReferenceFrame::Supergalactic)),
        CelestialSystem::Equatorial => ReferenceFrame::equatorial,
        CelestialSystem::Ecliptic => ReferenceFrame::ecliptic,
    };
    if let (Some((keyword, found)), Some((counted, _))) =
        (cards.other_reference_system(), cards.reference_system())
    {
        notes.push(WcsNote::second_frame(&keyword, &found, &counted));
    }
    match named_frame(cards, make) {
        Ok(frame) => Ok(Some(frame)),
        Err(_) if reading.any_frame => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Returns the frame that `make` returns for the header's name and equinox.
fn named_frame<K: Keywords + ?Sized>(
    cards: &Cards<'_, K>,
    make: impl Fn(Option<&str>, Option<f64>) -> Result<ReferenceFrame, FrameFault>,
) -> Result<ReferenceFrame, WcsFault> {
    let (system, equinox) = (cards.reference_system(), cards.equinox()?);
    let name = system.as_ref().map(|(_, name)| name.as_str());
    make(name, equinox.as_ref().map(|(_, years)| *years)).map_err(|fault| match fault {
        FrameFault::Unknown(found) => {
            let keyword = system.map_or("RADESYS".to_owned(), |(keyword, _)| keyword);
            WcsFault::UnknownFrame { keyword, found }
        }
        FrameFault::Equinox(years) => {
            let keyword = equinox.map_or("EQUINOX".to_owned(), |(keyword, _)| keyword);
            WcsFault::BadEquinox { keyword, found: years.to_string() }
        }
    })
}

impl ReferenceFrame {
    /// Returns the frame of right ascension and declination that a header names by RADESYS or RADECSYS and EQUINOX or
    /// EPOCH, with the defaults of [`Self::equatorial`]; `None` when it has none of these keywords.
    ///
    /// # Errors
    /// [`WcsFault::UnknownFrame`] and [`WcsFault::BadEquinox`], with the keyword.
    pub fn declared<K: Keywords + ?Sized>(header: &K) -> Result<Option<Self>, WcsFault> {
        let cards = Cards::new(header, Spelling::Image);
        if cards.reference_system().is_none() && cards.equinox()?.is_none() {
            return Ok(None);
        }
        named_frame(&cards, Self::equatorial).map(Some)
    }

    /// Returns the ecliptic frame of a header, as [`Self::declared`] with the defaults of [`Self::ecliptic`].
    ///
    /// # Errors
    /// As [`Self::declared`].
    pub fn declared_ecliptic<K: Keywords + ?Sized>(header: &K) -> Result<Self, WcsFault> {
        named_frame(&Cards::new(header, Spelling::Image), Self::ecliptic)
    }
}

/// The PV keywords as parameters of a projection and its native sphere, unless they belong to a distortion.
struct Parameters<'c, 'h, K: Keywords + ?Sized> {
    cards: &'c Cards<'h, K>,
    axes: &'c Axes,
    used: bool,
}

impl<K: Keywords + ?Sized> Parameters<'_, '_, K> {
    fn longitude(&self, m: u16) -> Result<Option<f64>, WcsFault> {
        if self.used { self.cards.parameter(self.axes.longitude, m) } else { Ok(None) }
    }

    fn latitude(&self, m: u16) -> Result<Option<f64>, WcsFault> {
        if self.used { self.cards.latitude_parameter(self.axes.latitude(), m) } else { Ok(None) }
    }

    fn latitude_keyword(&self, m: u16) -> String {
        self.cards.parameter_keyword(self.axes.latitude(), m)
    }

    fn unsupported(&self, m: u16, value: f64) -> WcsFault {
        WcsFault::UnsupportedParameter { keyword: self.latitude_keyword(m), value }
    }

    fn required(&self, m: u16) -> Result<f64, WcsFault> {
        let missing = || WcsFault::MissingKeyword { keyword: self.latitude_keyword(m) };
        self.latitude(m)?.ok_or_else(missing)
    }
}

fn read_projection<K: Keywords + ?Sized>(
    parameters: &Parameters<'_, '_, K>,
    latitude_deg: f64,
) -> Result<Projection, WcsFault> {
    let flat = |flat: Flat| Ok(Projection::Flat(Box::new(flat)));
    let conic = |kind| read_conic(parameters, kind);
    match parameters.axes.projection.as_str() {
        "TAN" | "TPV" => Ok(Projection::Tan),
        "ZPN" => Ok(Projection::Zpn(Box::new(read_zpn(parameters)?))),
        "SIN" => {
            let xi = parameters.latitude(1)?.unwrap_or(0.0);
            let eta = parameters.latitude(2)?.unwrap_or(0.0);
            if xi == 0.0 && eta == 0.0 {
                Ok(Projection::Sin)
            } else {
                flat(Flat::Slant { xi, eta })
            }
        }
        "NCP" => {
            let (sin, cos) = sin_cos_deg(latitude_deg);
            if sin == 0.0 {
                let keyword = parameters.cards.reference_keyword(parameters.axes.latitude());
                return Err(WcsFault::UnsupportedParameter { keyword, value: latitude_deg });
            }
            flat(Flat::Slant { xi: 0.0, eta: cos / sin })
        }
        "ARC" => Ok(Projection::Arc),
        "STG" => Ok(Projection::Stg),
        "ZEA" => Ok(Projection::Zea),
        "CAR" => flat(Flat::Car),
        "MER" => flat(Flat::Mer),
        "SFL" | "GLS" => flat(Flat::Sfl),
        "PAR" => flat(Flat::Par),
        "MOL" => flat(Flat::Mol),
        "AIT" => flat(Flat::Ait),
        "CEA" => {
            let lambda = parameters.latitude(1)?.unwrap_or(1.0);
            if !(lambda > 0.0 && lambda <= 1.0) {
                return Err(parameters.unsupported(1, lambda));
            }
            flat(Flat::Cea { lambda })
        }
        "CYP" => {
            let mu = parameters.latitude(1)?.unwrap_or(1.0);
            let lambda = parameters.latitude(2)?.unwrap_or(1.0);
            if lambda == 0.0 || mu + lambda == 0.0 {
                return Err(parameters.unsupported(2, lambda));
            }
            flat(Flat::Cyp { mu, lambda })
        }
        "PCO" => flat(Flat::Pco),
        "TSC" => flat(Flat::Cube(Cube::Tangential)),
        "CSC" => flat(Flat::Cube(Cube::Cobe)),
        "QSC" => flat(Flat::Cube(Cube::EqualArea)),
        "XPH" => flat(Flat::Xph),
        "AZP" | "SZP" | "AIR" | "BON" | "HPX" => read_other(parameters),
        "COP" => conic(ConicKind::Perspective),
        "COE" => conic(ConicKind::EqualArea),
        "COD" => conic(ConicKind::Equidistant),
        "COO" => conic(ConicKind::Orthomorphic),
        code => Err(WcsFault::UnsupportedProjection {
            keyword: parameters.axes.keyword.clone(),
            projection: code.to_owned(),
        }),
    }
}

/// Reads the projections of [`super::perspective`] and [`super::facets`], and Bonne's.
fn read_other<K: Keywords + ?Sized>(
    parameters: &Parameters<'_, '_, K>,
) -> Result<Projection, WcsFault> {
    let or = |m: u16, default: f64| Ok(parameters.latitude(m)?.unwrap_or(default));
    let first = parameters.latitude(1)?;
    let bad = || parameters.unsupported(1, first.unwrap_or_default());
    let flat = match parameters.axes.projection.as_str() {
        "AZP" => Azp::new(or(1, 0.0)?, or(2, 0.0)?).map(Flat::Azp),
        "SZP" => Szp::new(or(1, 0.0)?, or(2, 0.0)?, or(3, 90.0)?).map(Flat::Szp),
        "AIR" => Air::new(or(1, 90.0)?).map(Flat::Air),
        "HPX" => Hpx::new(or(1, 4.0)?, or(2, 3.0)?).map(Flat::Hpx),
        _ => Some(parameters.required(1)?).filter(|deg| deg.abs() <= 90.0).map(Flat::bonne),
    };
    Ok(Projection::Flat(Box::new(flat.ok_or_else(bad)?)))
}

fn read_conic<K: Keywords + ?Sized>(
    parameters: &Parameters<'_, '_, K>,
    kind: ConicKind,
) -> Result<Projection, WcsFault> {
    let middle = parameters.required(1)?;
    let half = parameters.latitude(2)?.unwrap_or(0.0);
    if !(middle.abs() < 90.0 && middle.abs() + half.abs() <= 90.0) {
        return Err(parameters.unsupported(1, middle));
    }
    let conic = Conic::new(kind, middle, half).ok_or_else(|| parameters.unsupported(1, middle))?;
    Ok(Projection::Flat(Box::new(Flat::Conic(conic))))
}

fn read_zpn<K: Keywords + ?Sized>(parameters: &Parameters<'_, '_, K>) -> Result<Zpn, WcsFault> {
    let mut coefficients = [0.0; COEFFICIENTS];
    for (m, coefficient) in coefficients.iter_mut().enumerate() {
        *coefficient = match m {
            1 => parameters.required(1)?,
            m => parameters.latitude(m as u16)?.unwrap_or(0.0),
        };
    }
    let keyword = || parameters.latitude_keyword(1);
    Zpn::new(coefficients).ok_or_else(|| WcsFault::BadPolynomial { keyword: keyword() })
}

/// Reads the degrees per pixel with the longitude in the first row, and computes the inverse.
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

/// Reads longitude (0 to 360) and latitude of the reference point in degrees.
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

/// Reads the native sphere: PV1_1 and PV1_2 place the reference point, PV1_3 and PV1_4 are other names of LONPOLE and
/// LATPOLE. A longitude parameter of 5 or more has no meaning outside of TPV.
fn read_native<K: Keywords + ?Sized>(
    parameters: &Parameters<'_, '_, K>,
    projection: &Projection,
    latitude_deg: f64,
) -> Result<Native, WcsFault> {
    let (cards, axis) = (parameters.cards, parameters.axes.longitude);
    for m in 5..40 {
        if let Some(value) = parameters.longitude(m)? {
            let keyword = cards.parameter_keyword(axis, m);
            return Err(WcsFault::UnsupportedParameter { keyword, value });
        }
    }
    // AIPS moved the whole map to the reference latitude instead of rotating the sphere.
    let is_gls = parameters.axes.projection == "GLS";
    let theta0_deg = if is_gls { latitude_deg } else { projection.theta0_deg() };
    if !is_gls && theta0_deg == 90.0 {
        // A zenithal projection with a reference point off its pole: in headers this is a left-over of SCAMP.
        for (m, standard) in [(1, 0.0), (2, 90.0)] {
            if let Some(value) = parameters.longitude(m)?.filter(|value| *value != standard) {
                let keyword = cards.parameter_keyword(axis, m);
                return Err(WcsFault::UnsupportedParameter { keyword, value });
            }
        }
    }
    let theta0_deg = parameters.longitude(2)?.filter(|_| !is_gls).unwrap_or(theta0_deg);
    if theta0_deg.abs() > 90.0 {
        let keyword = cards.parameter_keyword(axis, 2);
        return Err(WcsFault::UnsupportedParameter { keyword, value: theta0_deg });
    }
    let phi0_deg = parameters.longitude(1)?.filter(|_| !is_gls).unwrap_or(0.0);
    // AIPS and others write 999 for "not given".
    let given = |value: Option<f64>| value.filter(|v| *v != 999.0);
    let pole = parameters.longitude(3)?.or(cards.pole_longitude(axis)?);
    let latitude = parameters.longitude(4)?.or(cards.pole_latitude(axis)?);
    Ok(Native {
        phi0_deg,
        theta0_deg,
        pole_longitude_deg: given(pole),
        pole_latitude_deg: given(latitude).unwrap_or(90.0),
    })
}

/// Returns the plane coordinates of the reference point in degrees.
fn plane_offset(projection: &Projection, native: Native) -> Option<[f64; 2]> {
    let (sin_phi, cos_phi) = sin_cos_deg(native.phi0_deg);
    let (sin_theta, cos_theta) = sin_cos_deg(native.theta0_deg);
    let (x, y) = projection.to_plane(sin_theta, cos_theta * sin_phi, -cos_theta * cos_phi)?;
    Some([x.to_degrees(), y.to_degrees()])
}
