//! The inverse H-transform, and the smoothing that goes with it.
//!
//! All arithmetic wraps: a damaged file yields wrong values, but no panic.

/// Coefficients of one level in place: in quadrants of the upper left part of the array.
struct Level<'a> {
    coefficients: &'a mut [i64],
    row_step: usize,
    rows: usize,
    columns: usize,
}

/// The four coefficients that make 2x2 values: mean, differences along the columns and the rows, and across.
#[derive(Clone, Copy)]
struct Block {
    h0: i64,
    hx: i64,
    hy: i64,
    hc: i64,
}

/// Turns coefficients into pixels, in place. `change_max` limits the smoothing, 0 is none; `expanded` is as large as the
/// coefficients, its content does not matter.
pub(super) fn transform(
    coefficients: &mut [i64],
    columns: usize,
    change_max: i64,
    expanded: &mut [i64],
) {
    let rows = coefficients.len() / columns;
    let levels = rows.max(columns).next_power_of_two().trailing_zeros();
    coefficients[0] = round(coefficients[0], levels + 1);
    for halvings in (0..levels).rev() {
        let mut level = Level {
            coefficients,
            row_step: columns,
            rows: ((rows - 1) >> halvings) + 1,
            columns: ((columns - 1) >> halvings) + 1,
        };
        if change_max > 0 {
            level.smooth(change_max);
        }
        level.expand(halvings, expanded);
    }
}

/// Rounds to the nearest multiple of 2^`bits`, halves away from zero.
#[inline(always)]
fn round(value: i64, bits: u32) -> i64 {
    if bits == 0 {
        return value;
    }
    let half = 1i64 << (bits - 1);
    let up = if value >= 0 { half } else { half - 1 };
    value.wrapping_add(up) & -(1i64 << bits)
}

impl Level<'_> {
    fn upper_rows(&self) -> usize {
        self.rows.div_ceil(2)
    }

    fn left_columns(&self) -> usize {
        self.columns.div_ceil(2)
    }

    /// Makes the values of this level from the four quadrants and writes them in place of the upper left one.
    fn expand(&mut self, halvings: u32, expanded: &mut [i64]) {
        let (upper, left) = (self.upper_rows(), self.left_columns());
        let step = self.row_step;
        for row in 0..upper {
            let above = &self.coefficients[row * step..][..self.columns];
            let has_below = 2 * row + 1 < self.rows;
            let below = if has_below {
                &self.coefficients[(upper + row) * step..][..self.columns]
            } else {
                &[]
            };
            let values = &mut expanded[2 * row * self.columns..];
            for column in 0..left {
                let value = |row: &[i64], column: usize| row.get(column).copied().unwrap_or(0);
                let block = Block {
                    h0: above[column],
                    hx: value(below, column),
                    hy: value(above, left + column),
                    hc: value(below, left + column),
                };
                let [first, second, third, fourth] = block.values(halvings);
                let has_right = 2 * column + 1 < self.columns;
                values[2 * column] = first;
                if has_right {
                    values[2 * column + 1] = second;
                }
                if has_below {
                    values[self.columns + 2 * column] = third;
                    if has_right {
                        values[self.columns + 2 * column + 1] = fourth;
                    }
                }
            }
        }
        for (row, values) in expanded.chunks(self.columns).take(self.rows).enumerate() {
            self.coefficients[row * step..][..self.columns].copy_from_slice(values);
        }
    }

    /// Moves differences towards what the neighbours' means interpolate to, by at most `change_max`, and not beyond the limit
    /// that keeps the means in order. Blocks on the edge stay as they are.
    fn smooth(&mut self, change_max: i64) {
        let (upper, left) = (self.upper_rows(), self.left_columns());
        let step = self.row_step;
        let [x, y, c] = [upper * step, left, upper * step + left];
        let inner_rows = 1..inner_end(self.rows);
        let inner_columns = 1..inner_end(self.columns);
        for row in inner_rows.clone() {
            for at in row * step..row * step + left {
                self.smooth_slope(at, step, x, change_max);
            }
        }
        for row in 0..upper {
            for column in inner_columns.clone() {
                self.smooth_slope(row * step + column, 1, y, change_max);
            }
        }
        for row in inner_rows {
            for column in inner_columns.clone() {
                self.smooth_curvature(row * step + column, [x, y, c], change_max);
            }
        }
    }

    /// Smooths a difference along one axis. `at` is the block's mean, the neighbours' means are `step` before and after, the
    /// difference is at `at + offset`.
    fn smooth_slope(&mut self, at: usize, step: usize, offset: usize, change_max: i64) {
        let a = &mut *self.coefficients;
        let (before, here, after) = (a[at - step], a[at], a[at + step]);
        let rise = [after.wrapping_sub(here), here.wrapping_sub(before)];
        let max = rise[0].min(rise[1]).max(0).wrapping_shl(2);
        let min = rise[0].max(rise[1]).min(0).wrapping_shl(2);
        if min < max {
            let wanted = after.wrapping_sub(before).min(max).max(min);
            let change = divide(wanted.wrapping_sub(a[at + offset].wrapping_shl(3)), 3);
            a[at + offset] = a[at + offset].wrapping_add(change.clamp(-change_max, change_max));
        }
    }

    /// Smooths the difference across; `x`, `y` and `c` are the offsets of the block's differences from its mean.
    fn smooth_curvature(&mut self, at: usize, [x, y, c]: [usize; 3], change_max: i64) {
        let a = &mut *self.coefficients;
        let step = self.row_step;
        let (mm, mp) = (a[at - step - 1], a[at - step + 1]);
        let (pm, pp) = (a[at + step - 1], a[at + step + 1]);
        let here = a[at];
        let (slope_x, slope_y) = (a[at + x].wrapping_shl(1), a[at + y].wrapping_shl(1));
        let rises = [
            pp.wrapping_sub(here),
            here.wrapping_sub(pm),
            here.wrapping_sub(mp),
            mm.wrapping_sub(here),
        ];
        let slopes = [
            slope_x.wrapping_neg().wrapping_sub(slope_y),
            slope_x.wrapping_sub(slope_y),
            slope_y.wrapping_sub(slope_x),
            slope_x.wrapping_add(slope_y),
        ];
        let limit = |clip: fn(i64) -> i64, choose: fn(i64, i64) -> i64| {
            let mut limits =
                rises.iter().zip(slopes).map(|(&rise, slope)| clip(rise).wrapping_add(slope));
            let first = limits.next().unwrap_or(0);
            limits.fold(first, choose).wrapping_shl(4)
        };
        let max = limit(|rise| rise.max(0), i64::min);
        let min = limit(|rise| rise.min(0), i64::max);
        if min < max {
            let wanted = pp.wrapping_add(mm).wrapping_sub(mp).wrapping_sub(pm).min(max).max(min);
            let change = divide(wanted.wrapping_sub(a[at + c].wrapping_shl(6)), 6);
            a[at + c] = a[at + c].wrapping_add(change.clamp(-change_max, change_max));
        }
    }
}

/// Returns one past the last block of a row or column of `values` that is not on the edge.
fn inner_end(values: usize) -> usize {
    values.saturating_sub(2).div_ceil(2)
}

/// Divides by 2^`bits`, towards zero.
#[inline(always)]
fn divide(value: i64, bits: u32) -> i64 {
    if value >= 0 { value >> bits } else { value.wrapping_add((1 << bits) - 1) >> bits }
}

impl Block {
    /// Returns the 2x2 values, row by row. The differences lost their low bits when the transform was divided by two at each
    /// level; parity restores them, for values below zero in the other direction.
    #[inline(always)]
    fn values(self, halvings: u32) -> [i64; 4] {
        let (bit0, bit1) = (1i64 << halvings, 2i64 << halvings);
        let mut h0 = self.h0;
        let mut hx = round(self.hx, halvings + 1);
        let mut hy = round(self.hy, halvings + 1);
        let hc = round(self.hc, halvings);
        let low0 = hc & bit0;
        hx = towards(hx, low0);
        hy = towards(hy, low0);
        let low1 = (hc ^ hx ^ hy) & bit1;
        h0 = if h0 >= 0 {
            h0.wrapping_add(low0).wrapping_sub(low1)
        } else if low0 == 0 {
            h0.wrapping_add(low1)
        } else {
            h0.wrapping_add(low0).wrapping_sub(low1)
        };
        let shift = if halvings == 0 { 2 } else { 1 };
        let (sum, difference) = (h0.wrapping_add(hx), h0.wrapping_sub(hx));
        let (across, along) = (hy.wrapping_add(hc), hy.wrapping_sub(hc));
        [
            difference.wrapping_sub(along) >> shift,
            difference.wrapping_add(along) >> shift,
            sum.wrapping_sub(across) >> shift,
            sum.wrapping_add(across) >> shift,
        ]
    }
}

/// Subtracts from values that are not negative, adds to negative ones.
#[inline(always)]
fn towards(value: i64, by: i64) -> i64 {
    if value >= 0 { value.wrapping_sub(by) } else { value.wrapping_add(by) }
}
