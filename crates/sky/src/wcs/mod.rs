//! World coordinate systems of detectors: pixels to sky and back, from the headers of images and of catalogues.
//!
//! Zenithal projections (ZPN, TAN, SIN, ARC, STG, ZEA, and AZP, SZP, AIR of [`perspective`]), cylindrical,
//! pseudocylindrical, conic, polyconic and Bonne's ([`flat`]), TSC, CSC and QSC ([`cube`]), HPX and XPH ([`facets`]), one
//! distortion of TPV (and SCAMP's TAN with PV keywords) or SIP, chosen as astropy chooses ([`choice`]).
//! A header becomes a [`Wcs`] or a [`WcsFault`] that names the keyword; after that only a single point can fail, which
//! is `None` (NaN in columns) where the projection has no such direction or pixel. Positions are in the ICRS, whatever
//! frame the header names.
//!
//! The steps for a point: pixel offset, SIP, matrix, TPV, projection ([`projection`]), then three fixed vectors
//! ([`sphere`]) instead of spherical trigonometry, so that poles and RA 0 need no special treatment. The rotation to
//! the ICRS is part of these vectors; only the FK4 with its E-terms needs a separate step.

mod axes;
mod choice;
mod cube;
mod distortion;
mod facets;
mod fault;
mod flat;
mod keywords;
mod linear;
mod listed;
mod native;
mod note;
mod perspective;
mod polynomial;
mod projection;
mod read;
mod sphere;
mod zeros;
mod zpn;

pub use axes::CelestialSystem;
pub use fault::WcsFault;
pub use keywords::Keywords;
pub use note::{WcsNote, WcsNoteKind};
pub use read::Reading;

use crate::position::{SkyPosition, UnitVector, unit_vector};
use crate::reference_frame::{ReferenceFrame, ToIcrs};
use distortion::Distortion;
use linear::Matrix;
use projection::Projection;
use sphere::Sphere;

const RAD_PER_DEG: f64 = std::f64::consts::PI / 180.0;

/// The world coordinate system of one detector. Made by [`Wcs::from_image`], [`Wcs::from_table`] or
/// [`Wcs::from_catalogue`].
///
/// Pixels are FITS pixels: the centre of the first one is (1.0, 1.0). Positions are in the ICRS, even when the axes of
/// the header are galactic or ecliptic, or equatorial of another frame ([`Wcs::frame`]).
#[derive(Clone, Debug)]
pub struct Wcs {
    reference_pixel: [f64; 2],
    reference: SkyPosition,
    sip: Option<Box<Distortion>>,
    /// Degrees in the plane (x = longitude axis) per pixel, and its inverse.
    matrix: Matrix,
    inverse: Matrix,
    tpv: Option<Box<Distortion>>,
    /// Plane coordinates (degrees) of the reference point; they differ from 0 only when PV1_0 requests it.
    plane_offset: Option<[f64; 2]>,
    projection: Projection,
    /// The sphere in the ICRS, or in the header's frame when `e_terms` follow.
    sphere: Sphere,
    /// The transformation from the FK4, whose E-terms no rotation contains.
    e_terms: Option<Box<ToIcrs>>,
    frame: Option<ReferenceFrame>,
    reading: Reading,
    notes: Vec<WcsNote>,
    /// Solid angle of the reference pixel, square degrees.
    reference_area: Option<f64>,
    system: CelestialSystem,
    latitude_first: bool,
    reference_system: Option<String>,
    equinox: Option<f64>,
}

/// Motion of the sky under the pixels at one point, in degrees per pixel along great circles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jacobian {
    /// Towards east per pixel in x.
    pub east_x: f64,
    /// Towards east per pixel in y.
    pub east_y: f64,
    /// Towards north per pixel in x.
    pub north_x: f64,
    /// Towards north per pixel in y.
    pub north_y: f64,
}

impl Jacobian {
    /// Returns the determinant: positive when x and y turn like east and north, negative for the sky seen from inside
    /// with north up and east left, as in unmirrored images.
    pub fn determinant(&self) -> f64 {
        self.east_x * self.north_y - self.east_y * self.north_x
    }
}

impl Wcs {
    /// Returns the position of a pixel; `None` where the projection ends.
    pub fn pixel_to_sky(&self, x: f64, y: f64) -> Option<SkyPosition> {
        Some(self.pixel_to_vector(x, y)?.position())
    }

    /// Returns the direction of a pixel; `None` where the projection ends.
    #[inline(always)]
    pub fn pixel_to_vector(&self, x: f64, y: f64) -> Option<UnitVector> {
        let [direction] = self.pixels_to_vectors([x], [y]);
        // After a NaN input or an overflow, no component is finite.
        direction.x.is_finite().then_some(direction)
    }

    /// Returns the directions of some pixels, computed in parallel lanes; x is not finite where the projection ends.
    #[inline(always)]
    fn pixels_to_vectors<const N: usize>(&self, x: [f64; N], y: [f64; N]) -> [UnitVector; N] {
        let (mut lon, mut lat) = ([0.0; N], [0.0; N]);
        for i in 0..N {
            (lon[i], lat[i]) = self.pixel_to_plane(x[i], y[i]);
        }
        if let Some(tpv) = &self.tpv {
            for i in 0..N {
                (lon[i], lat[i]) = tpv.apply(lon[i], lat[i]);
            }
        }
        if let Some([x, y]) = self.plane_offset {
            (lon, lat) = (lon.map(|lon| lon + x), lat.map(|lat| lat + y));
        }
        let radians = |deg: [f64; N]| deg.map(|deg| deg * RAD_PER_DEG);
        let [along, a, b] = self.projection.to_spheres(radians(lon), radians(lat));
        let directions = std::array::from_fn(|i| self.sphere.direction(along[i], a[i], b[i]));
        match &self.e_terms {
            Some(to_icrs) => directions.map(|direction| to_icrs.vector(direction)),
            None => directions,
        }
    }

    /// Returns the plane coordinates in degrees before TPV: the result of CRPIX, SIP and the matrix for a pixel.
    #[inline(always)]
    fn pixel_to_plane(&self, x: f64, y: f64) -> (f64, f64) {
        let (dx, dy) = (x - self.reference_pixel[0], y - self.reference_pixel[1]);
        let (dx, dy) = match &self.sip {
            Some(sip) => sip.apply(dx, dy),
            None => (dx, dy),
        };
        self.matrix.apply(dx, dy)
    }

    /// Returns the pixel at a position, which may be outside the image; `None` where the projection has no place for it
    /// or its distortion cannot be inverted there.
    pub fn sky_to_pixel(&self, position: SkyPosition) -> Option<(f64, f64)> {
        self.vector_to_pixel(position.unit_vector())
    }

    /// Returns the pixel at a direction; `None` as for [`Wcs::sky_to_pixel`].
    #[inline(always)]
    pub fn vector_to_pixel(&self, direction: UnitVector) -> Option<(f64, f64)> {
        let direction = match &self.e_terms {
            Some(to_icrs) => to_icrs.vector_back(direction),
            None => direction,
        };
        let (along, a, b) = self.sphere.components(direction);
        let (lon, lat) = self.projection.to_plane(along, a, b)?;
        let plane = (lon * DEG_PER_RAD, lat * DEG_PER_RAD);
        let plane = match self.plane_offset {
            Some([x, y]) => (plane.0 - x, plane.1 - y),
            None => plane,
        };
        let (lon_deg, lat_deg) = match &self.tpv {
            Some(tpv) => tpv.invert(plane.0, plane.1, 1e-9 * self.matrix.size())?,
            None => plane,
        };
        let offset = self.inverse.apply(lon_deg, lat_deg);
        let (dx, dy) = match &self.sip {
            Some(sip) => sip.invert(offset.0, offset.1, 1e-9)?,
            None => offset,
        };
        let (x, y) = (self.reference_pixel[0] + dx, self.reference_pixel[1] + dy);
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    /// Computes the positions of many pixels in degrees; NaN without a position. Earlier contents are replaced.
    ///
    /// # Panics
    /// Panics when `x` and `y` differ in length.
    pub fn pixels_to_sky(
        &self,
        x: &[f64],
        y: &[f64],
        ra_deg: &mut Vec<f64>,
        dec_deg: &mut Vec<f64>,
    ) {
        assert_eq!(x.len(), y.len(), "one y per x");
        ra_deg.clear();
        dec_deg.clear();
        ra_deg.resize(x.len(), f64::NAN);
        dec_deg.resize(x.len(), f64::NAN);
        let (xs, x_rest) = x.as_chunks::<LANES>();
        let (ys, y_rest) = y.as_chunks::<LANES>();
        let (ras, ra_rest) = ra_deg.as_chunks_mut::<LANES>();
        let (decs, dec_rest) = dec_deg.as_chunks_mut::<LANES>();
        for ((x, y), (ra, dec)) in xs.iter().zip(ys).zip(ras.iter_mut().zip(decs)) {
            self.fill_positions(*x, *y, ra, dec);
        }
        for ((x, y), (ra, dec)) in x_rest.iter().zip(y_rest).zip(ra_rest.iter_mut().zip(dec_rest)) {
            self.fill_positions([*x], [*y], std::array::from_mut(ra), std::array::from_mut(dec));
        }
    }

    /// Writes the positions of some pixels in degrees; NaN without a position.
    #[inline(always)]
    fn fill_positions<const N: usize>(
        &self,
        x: [f64; N],
        y: [f64; N],
        ra_deg: &mut [f64; N],
        dec_deg: &mut [f64; N],
    ) {
        let directions = self.pixels_to_vectors(x, y);
        for i in 0..N {
            let position = directions[i].position();
            let exists = directions[i].x.is_finite();
            ra_deg[i] = if exists { position.ra_deg } else { f64::NAN };
            dec_deg[i] = if exists { position.dec_deg } else { f64::NAN };
        }
    }

    /// Computes the pixels of many positions (degrees); NaN without a pixel. Earlier contents are replaced.
    ///
    /// # Panics
    /// Panics when `ra_deg` and `dec_deg` differ in length.
    pub fn sky_to_pixels(
        &self,
        ra_deg: &[f64],
        dec_deg: &[f64],
        x: &mut Vec<f64>,
        y: &mut Vec<f64>,
    ) {
        assert_eq!(ra_deg.len(), dec_deg.len(), "one declination per right ascension");
        fill(x, y, ra_deg.iter().zip(dec_deg), |(&ra, &dec)| {
            self.vector_to_pixel(unit_vector(ra, dec))
        });
    }

    /// Returns the motion of the sky per pixel around (x, y), by central differences of half a pixel; `None` off the
    /// sky.
    pub fn local_jacobian(&self, x: f64, y: f64) -> Option<Jacobian> {
        let (east, north) = self.pixel_to_vector(x, y)?.east_north();
        let slope = |from: UnitVector, to: UnitVector, along: UnitVector| {
            (to.dot(along) - from.dot(along)) * DEG_PER_RAD
        };
        let (x0, x1) = (self.pixel_to_vector(x - 0.5, y)?, self.pixel_to_vector(x + 0.5, y)?);
        let (y0, y1) = (self.pixel_to_vector(x, y - 0.5)?, self.pixel_to_vector(x, y + 0.5)?);
        let jacobian = Jacobian {
            east_x: slope(x0, x1, east),
            east_y: slope(y0, y1, east),
            north_x: slope(x0, x1, north),
            north_y: slope(y0, y1, north),
        };
        jacobian.determinant().is_finite().then_some(jacobian)
    }

    /// Returns the factor on fluxes measured at (x, y) that corrects the change of pixel area across the field; 1 at
    /// the reference point, `None` off the sky.
    ///
    /// Flat fielding makes the sky uniform, so that large pixels count too little and small ones too much. For ZPN and
    /// TAN the formulas are exactly those of CASU, with r in radians from CRPIX through the matrix: 1/d of d = (1 + 3
    /// k3 r^2/k1 + 5 k5 r^4/k1) (1 + (k3 r^2 + k5 r^4)/k1) and d = atan(r)/r / (1 + tan^2 r). CASU has none for the
    /// others: for those it is the solid angle of the pixel over that at the reference pixel.
    pub fn flux_distortion(&self, x: f64, y: f64) -> Option<f64> {
        let (lon_deg, lat_deg) = self.pixel_to_plane(x, y);
        let square = (lon_deg * lon_deg + lat_deg * lat_deg) * (RAD_PER_DEG * RAD_PER_DEG);
        let factor = match &self.projection {
            _ if self.tpv.is_some() || self.sip.is_some() => self.area_ratio(x, y)?,
            Projection::Zpn(zpn) => {
                let k = |power| zpn.coefficient(power) / zpn.coefficient(1);
                let (cubic, quintic) = (k(3) * square, k(5) * square * square);
                1.0 / ((1.0 + 3.0 * cubic + 5.0 * quintic) * (1.0 + cubic + quintic))
            }
            Projection::Tan if square == 0.0 => 1.0,
            Projection::Tan => {
                let r = square.sqrt();
                let tangent = r.tan();
                (1.0 + tangent * tangent) * r / r.atan()
            }
            _ => self.area_ratio(x, y)?,
        };
        (factor.is_finite() && factor > 0.0).then_some(factor)
    }

    /// Computes [`Wcs::flux_distortion`] of many pixels; NaN off the sky. Earlier contents are replaced.
    ///
    /// # Panics
    /// Panics when `x` and `y` differ in length.
    pub fn flux_distortions(&self, x: &[f64], y: &[f64], factors: &mut Vec<f64>) {
        assert_eq!(x.len(), y.len(), "one y per x");
        factors.clear();
        factors
            .extend(x.iter().zip(y).map(|(&x, &y)| self.flux_distortion(x, y).unwrap_or(f64::NAN)));
    }

    /// Returns the solid angle of a pixel over that of the reference pixel.
    fn area_ratio(&self, x: f64, y: f64) -> Option<f64> {
        Some(self.local_jacobian(x, y)?.determinant().abs() / self.reference_area?)
    }

    /// Returns CRPIX1 and CRPIX2, or their table forms.
    pub fn reference_pixel(&self) -> [f64; 2] {
        self.reference_pixel
    }

    /// Returns the matrix from pixel offsets to degrees in the plane, rows and columns in the order of the header's
    /// axes: the actual or equivalent CD1_1, CD1_2, CD2_1, CD2_2.
    pub fn matrix_deg(&self) -> [[f64; 2]; 2] {
        let [longitude, latitude] = self.matrix.0;
        if self.latitude_first { [latitude, longitude] } else { [longitude, latitude] }
    }

    /// Returns the position of the reference pixel (without distortion terms).
    pub fn reference_position(&self) -> SkyPosition {
        self.reference
    }

    /// Returns the projection with its distortion: `ZPN`, `TAN`, `TPV`, `TAN-SIP` ...
    pub fn projection(&self) -> String {
        match (&self.sip, &self.tpv) {
            (Some(_), _) => format!("{}-SIP", self.projection.code()),
            (None, Some(_)) => "TPV".to_owned(),
            (None, None) => self.projection.code().to_owned(),
        }
    }

    /// Returns the system of the header's axes.
    pub fn system(&self) -> CelestialSystem {
        self.system
    }

    /// Returns the frame of the header's axes; `None` when it is not known and [`Reading::any_frame`] accepted it.
    pub fn frame(&self) -> Option<ReferenceFrame> {
        self.frame
    }

    /// Returns true when positions of the FK5 of equinox 2000.0 are unchanged.
    pub fn keeps_fk5_2000(&self) -> bool {
        !self.reading.rotates_fk5_2000
    }

    /// Returns notes on header contents that were not applied, or applied without being announced.
    pub fn notes(&self) -> &[WcsNote] {
        &self.notes
    }

    /// Returns RADESYS, if the header has it (`ICRS`, `FK5` ...).
    pub fn reference_system(&self) -> Option<&str> {
        self.reference_system.as_deref()
    }

    /// Returns EQUINOX in years, if the header has it.
    pub fn equinox(&self) -> Option<f64> {
        self.equinox
    }
}

const DEG_PER_RAD: f64 = 180.0 / std::f64::consts::PI;
/// Number of pixels that are computed in parallel lanes.
const LANES: usize = 4;

/// Replaces two columns by the points that `each` computes for the items, NaN for none.
#[inline(always)]
fn fill<I>(
    first: &mut Vec<f64>,
    second: &mut Vec<f64>,
    items: impl ExactSizeIterator<Item = I>,
    each: impl Fn(I) -> Option<(f64, f64)>,
) {
    first.clear();
    second.clear();
    first.reserve(items.len());
    second.reserve(items.len());
    for item in items {
        let (a, b) = each(item).unwrap_or((f64::NAN, f64::NAN));
        first.push(a);
        second.push(b);
    }
}
