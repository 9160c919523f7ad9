//! Hierarchical triangular mesh (Kunszt, Szalay, Thakar): the trixel that contains a direction.
//!
//! Vertices v0 = (0,0,1), v1 = (1,0,0), v2 = (0,1,0), v3 = (-1,0,0), v4 = (0,-1,0), v5 = (0,0,-1);
//! roots S0 = 8 (1,5,2), S1 = 9 (2,5,3), S2 = 10 (3,5,4), S3 = 11 (4,5,1), N0 = 12 (1,0,4), N1 = 13 (4,0,3),
//! N2 = 14 (3,0,2), N3 = 15 (2,0,1); children by the edge midpoints w0 = mid(v1,v2), w1 = mid(v0,v2),
//! w2 = mid(v0,v1): 0 = (v0,w2,w1), 1 = (v1,w0,w2), 2 = (v2,w1,w0), 3 = (w0,w1,w2); id = 4 * parent + child.
//! A direction belongs to the first trixel, in that order, whose three half-space tests yield at least -1e-15.
//!
//! No vertex is ever computed during the descent. With a, b, c = p.(v1 x v2), p.(v2 x v0), p.(v0 x v1) (the half-space
//! values themselves, for a root just the coordinates) and n_i = |v_j + v_k|, the values of child 0 are (a-b-c)/(n1
//! n2), b/n1, c/n2, those of child 3 (b+c-a)/(n1 n2) and so on; the n_i follow from the cosines between the vertices.
//! The errors are those of the input, not of twenty normalisations.

use crate::position::UnitVector;

/// Depth of the archive's `htm_id`: trixels of 0.3 arcsec, 44-bit numbers.
pub const ARCHIVE_DEPTH: u8 = 20;

/// Deepest mesh whose numbers fit 63 bits.
pub const MAX_DEPTH: u8 = 29;

/// Tolerance of the half-space tests, as in the original library.
const EDGE: f64 = -1e-15;

/// A trixel by its number, of a depth of at most [`MAX_DEPTH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HtmId(u64);

impl HtmId {
    /// Returns the trixel with a number; `None` for a number that no trixel has.
    pub fn new(number: u64) -> Option<Self> {
        let bits = 64 - number.leading_zeros();
        let is_trixel = bits >= 4 && bits.is_multiple_of(2);
        (is_trixel && bits <= 4 + 2 * u32::from(MAX_DEPTH)).then_some(Self(number))
    }

    /// Returns the number, as the archive stores it.
    pub fn get(self) -> i64 {
        self.0 as i64 // of at most 62 bits
    }

    /// Returns the trixel that contains this one; `None` for a root.
    pub fn parent(self) -> Option<Self> {
        (self.0 >= 32).then_some(Self(self.0 >> 2))
    }

    /// Returns the depth: 0 for the roots 8 to 15.
    pub fn depth(self) -> u8 {
        ((60 - self.0.leading_zeros()) / 2) as u8
    }

    /// Returns the three corners, counter-clockwise from outside.
    pub fn corners(self) -> [UnitVector; 3] {
        let depth = self.depth();
        let mut v = root_corners(self.0 >> (2 * depth));
        for level in (0..depth).rev() {
            let w = [middle(v[1], v[2]), middle(v[0], v[2]), middle(v[0], v[1])];
            v = match (self.0 >> (2 * level)) & 3 {
                0 => [v[0], w[2], w[1]],
                1 => [v[1], w[0], w[2]],
                2 => [v[2], w[1], w[0]],
                _ => w,
            };
        }
        v
    }
}

/// Returns the trixel of the direction at a depth of at most [`MAX_DEPTH`] (a greater depth is reduced to it).
pub fn id(v: UnitVector, depth: u8) -> HtmId {
    HtmId(ids::<1>([v.x], [v.y], [v.z], depth)[0])
}

/// Returns the trixel of the direction at the archive's depth.
pub fn id20(v: UnitVector) -> HtmId {
    id(v, ARCHIVE_DEPTH)
}

fn root_corners(root: u64) -> [UnitVector; 3] {
    const AXES: [UnitVector; 6] = [
        UnitVector { x: 0.0, y: 0.0, z: 1.0 },
        UnitVector { x: 1.0, y: 0.0, z: 0.0 },
        UnitVector { x: 0.0, y: 1.0, z: 0.0 },
        UnitVector { x: -1.0, y: 0.0, z: 0.0 },
        UnitVector { x: 0.0, y: -1.0, z: 0.0 },
        UnitVector { x: 0.0, y: 0.0, z: -1.0 },
    ];
    const ROOTS: [[usize; 3]; 8] =
        [[1, 5, 2], [2, 5, 3], [3, 5, 4], [4, 5, 1], [1, 0, 4], [4, 0, 3], [3, 0, 2], [2, 0, 1]];
    ROOTS[(root & 7) as usize].map(|i| AXES[i])
}

fn middle(a: UnitVector, b: UnitVector) -> UnitVector {
    let (x, y, z) = (a.x + b.x, a.y + b.y, a.z + b.z);
    let length = (x * x + y * y + z * z).sqrt();
    UnitVector { x: x / length, y: y / length, z: z / length }
}

/// The descent for several directions at once.
struct Descent<const N: usize> {
    ids: [u64; N],
    /// Half-space values of the edges opposite to v0, v1, v2.
    a: [f64; N],
    b: [f64; N],
    c: [f64; N],
    /// 1 - cosine of those edges.
    s0: [f64; N],
    s1: [f64; N],
    s2: [f64; N],
}

/// Returns the trixels of `N` directions, in step: the arithmetic of one fills the latencies of the others.
#[inline(always)]
pub(crate) fn ids<const N: usize>(x: [f64; N], y: [f64; N], z: [f64; N], depth: u8) -> [u64; N] {
    let depth = depth.min(MAX_DEPTH);
    let mut down = Descent::at_roots(x, y, z);
    // Edges halve at each level, so the series for 1/n needs fewer terms.
    let (by_root, by_series) = (depth.min(6), depth.min(14));
    for _ in 0..by_root {
        down.step(|s| 1.0 / (4.0 - 2.0 * s).sqrt());
    }
    for _ in by_root..by_series {
        down.step(|s| {
            let u = 0.5 * s; // (1-u)^(-1/2) / 2; the next term is below 1e-18
            0.5 + u * (0.25 + u * (0.1875 + u * (0.156_25 + u * 0.136_718_75)))
        });
    }
    for _ in by_series..depth {
        down.step(|s| 0.5 + 0.125 * s);
    }
    down.ids
}

impl<const N: usize> Descent<N> {
    #[inline(always)]
    fn at_roots(x: [f64; N], y: [f64; N], z: [f64; N]) -> Self {
        let mut d = Self {
            ids: [0; N],
            a: [0.0; N],
            b: [0.0; N],
            c: [0.0; N],
            s0: [1.0; N],
            s1: [1.0; N],
            s2: [1.0; N],
        };
        for i in 0..N {
            (d.ids[i], d.a[i], d.b[i], d.c[i]) = root(x[i], y[i], z[i]);
        }
        d
    }

    /// Descends one level. `inverse` returns 1/n from 1 - cosine of an edge.
    #[inline(always)]
    fn step(&mut self, inverse: impl Fn(f64) -> f64) {
        for i in 0..N {
            let (a, b, c) = (self.a[i], self.b[i], self.c[i]);
            let (s0, s1, s2) = (self.s0[i], self.s1[i], self.s2[i]);
            let (m0, m1, m2) = (inverse(s0), inverse(s1), inverse(s2));
            let (m12, m02, m01) = (m1 * m2, m0 * m2, m0 * m1);
            let (t0, t1, t2) = ((a - b - c) * m12, (b - a - c) * m02, (c - a - b) * m01);
            // Half edges, and the edges of the middle trixel, as 1 - cosine.
            let (h0, h1, h2) =
                (1.0 - (2.0 - s0) * m0, 1.0 - (2.0 - s1) * m1, 1.0 - (2.0 - s2) * m2);
            let sum = 4.0 - (s0 + s1 + s2);
            let (e0, e1, e2) = (1.0 - sum * m12, 1.0 - sum * m02, 1.0 - sum * m01);
            let (in0, in1, in2) = (t0 >= EDGE, t1 >= EDGE, t2 >= EDGE);
            let pick = |p0: f64, p1: f64, p2: f64, p3: f64| {
                let late = if in2 { p2 } else { p3 };
                let later = if in1 { p1 } else { late };
                if in0 { p0 } else { later }
            };
            self.a[i] = pick(t0, t1, t2, (b + c - a) * m12);
            self.b[i] = pick(b * m1, c * m2, a * m0, (a + c - b) * m02);
            self.c[i] = pick(c * m2, a * m0, b * m1, (a + b - c) * m01);
            self.s0[i] = pick(e0, e1, e2, e0);
            self.s1[i] = pick(h1, h2, h0, e1);
            self.s2[i] = pick(h2, h0, h1, e2);
            let late = if in2 { 2 } else { 3 };
            let later = if in1 { 1 } else { late };
            self.ids[i] = self.ids[i] << 2 | if in0 { 0 } else { later };
        }
    }
}

/// Returns the root trixel and its half-space values, which are coordinates of the direction.
#[inline(always)]
fn root(x: f64, y: f64, z: f64) -> (u64, f64, f64, f64) {
    let south = -z >= EDGE;
    let (base, height) = if south { (8, -z) } else { (12, z) };
    let (east, west) = (x >= EDGE, -x >= EDGE);
    let (up, down) = (y >= EDGE, -y >= EDGE);
    // South: S0 S1 S2 S3 take the quadrants (+x+y) (-x+y) (-x-y) (+x-y); north: N0 (+x-y) N1 (-x-y) N2 (-x+y) N3.
    let (number, a, c) = if south {
        if east && up {
            (0, x, y)
        } else if up {
            (1, y, -x)
        } else if west && down {
            (2, -x, -y)
        } else {
            (3, -y, x)
        }
    } else if east && down {
        (0, x, -y)
    } else if down {
        (1, -y, -x)
    } else if west && up {
        (2, -x, y)
    } else {
        (3, y, x)
    };
    (base + number, a, height, c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::unit_vector;

    /// Computes the trixel by the textbook method, with vertices and half-space tests on them.
    fn by_vertices(p: UnitVector, depth: u8) -> u64 {
        let inside = |v: [UnitVector; 3]| {
            v[0].cross(v[1]).dot(p) >= EDGE
                && v[1].cross(v[2]).dot(p) >= EDGE
                && v[2].cross(v[0]).dot(p) >= EDGE
        };
        let mut id = (8..16).find(|&r| inside(root_corners(r))).unwrap();
        let mut v = root_corners(id);
        for _ in 0..depth {
            let w = [middle(v[1], v[2]), middle(v[0], v[2]), middle(v[0], v[1])];
            let children = [[v[0], w[2], w[1]], [v[1], w[0], w[2]], [v[2], w[1], w[0]], w];
            let child = (0..4).find(|&k| inside(children[k])).unwrap_or(3);
            v = children[child];
            id = id << 2 | child as u64;
        }
        id
    }

    fn spread(n: u32) -> impl Iterator<Item = UnitVector> {
        // Golden-angle spiral: covers the whole sphere once, poles included.
        (0..n).map(move |i| {
            let z = 1.0 - 2.0 * f64::from(i) / f64::from(n - 1);
            let dec = z.clamp(-1.0, 1.0).asin().to_degrees();
            unit_vector((f64::from(i) * 137.507_764_050_037_85) % 360.0, dec)
        })
    }

    #[test]
    fn agrees_with_the_textbook_way() {
        let mut different = 0;
        for v in spread(20_000) {
            assert_eq!(id(v, 12).0, by_vertices(v, 12), "{v:?}");
            different += u32::from(id20(v).0 != by_vertices(v, 20));
        }
        // At depth 20 the tests on rounded vertices are uncertain by 1e-16 of 1e-12.
        assert!(different <= 10, "{different} of 20000");
    }

    #[test]
    fn children_lie_in_their_parents() {
        for v in spread(500) {
            for depth in 1..=MAX_DEPTH {
                let child = id(v, depth);
                assert_eq!(child.parent(), Some(id(v, depth - 1)));
                assert_eq!(child.depth(), depth);
                assert_eq!(HtmId::new(child.0), Some(child));
            }
        }
        assert_eq!(HtmId(8).parent(), None);
        assert_eq!(HtmId::new(7), None);
        assert_eq!(HtmId::new(16), None);
        assert_eq!(HtmId::new(0), None);
        assert_eq!(HtmId::new(u64::MAX), None);
    }

    #[test]
    fn the_trixel_surrounds_the_direction() {
        for v in spread(2000) {
            let [a, b, c] = id20(v).corners();
            for (p, q) in [(a, b), (b, c), (c, a)] {
                assert!(p.cross(q).dot(v) > -2e-15, "{v:?}");
                assert!(p.distance_deg(v) < 2e-4, "{v:?}");
            }
        }
    }

    #[test]
    fn the_middle_of_a_trixel_has_its_number() {
        for v in spread(500) {
            for depth in [0, 1, 5, 6, 7, 13, 14, 15, 20] {
                let number = id(v, depth);
                let [a, b, c] = number.corners();
                let centre = UnitVector::towards(a.x + b.x + c.x, a.y + b.y + c.y, a.z + b.z + c.z);
                assert_eq!(id(centre.unwrap(), depth), number);
            }
        }
    }

    #[test]
    fn corners_of_the_octahedron() {
        // On an edge the first trixel in the order of the numbers wins.
        let cases = [
            ((0.0, 0.0), 8),
            ((90.0, 0.0), 8),
            ((180.0, 0.0), 9),
            ((270.0, 0.0), 10),
            ((0.0, 90.0), 12),
            ((0.0, -90.0), 8),
            ((0.0, 45.0), 12),
            ((90.0, 45.0), 14),
            ((180.0, 45.0), 13),
            ((270.0, 45.0), 12),
        ];
        for ((ra, dec), root) in cases {
            let v = unit_vector(ra, dec);
            assert_eq!(id(v, 0).0, root, "({ra}, {dec})");
            assert_eq!(id20(v).0, by_vertices(v, 20), "({ra}, {dec})");
        }
    }

    #[test]
    fn several_at_once_are_the_same() {
        let all: Vec<_> = spread(400).collect();
        for four in all.chunks_exact(4) {
            let get =
                |f: fn(&UnitVector) -> f64| [f(&four[0]), f(&four[1]), f(&four[2]), f(&four[3])];
            let together = ids::<4>(get(|v| v.x), get(|v| v.y), get(|v| v.z), ARCHIVE_DEPTH);
            assert_eq!(together, [0, 1, 2, 3].map(|i: usize| id20(four[i]).0));
        }
    }
}
