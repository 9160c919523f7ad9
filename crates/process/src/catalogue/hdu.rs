//! One catalogue HDU: its rows are judged as a whole, then decoded block by block.

use super::angle::Axis;
use super::anomalies::{Anomaly, Contradiction};
use super::batch::{Batch, position};
use super::cells::{angles, bits, doubles, singles, sums};
use super::column_frame::ColumnFrame;
use super::layout::{Delivered, Layout};
use super::photometry::{self, Calibration};
use super::positions::{Positions, SkyCells, Sources, agree, is_text, positions};
use super::quality::{self, Classes};
use super::rows::{Bounds, Keys, RowFault, faults};
use fits::{Column, FitsError, FitsFault, Rows, Table};
use model::detector::Detector;
use model::profile::{Distortion, Fk5Rule, SurveyProfile};
use sky::{SkyColumns, Wcs};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

/// Bytes of rows that are read at a time.
const BLOCK_BYTES: u64 = 4 << 20;
/// Rows of a block at most.
const BLOCK_ROWS: u64 = 16_384;
/// Rows whose columns are decoded together: the columns stay in the first-level cache.
const TILE_ROWS: usize = 64;

/// The input of the conversion of an HDU's rows.
pub(super) struct HduContext<'a> {
    pub(super) detector: &'a Detector,
    pub(super) programme_id: i32,
    pub(super) version: i32,
    pub(super) profile: &'a SurveyProfile,
    pub(super) wcs: Option<&'a Wcs>,
    /// Frame of the columns RA and DEC.
    pub(super) frame: ColumnFrame,
    pub(super) calibration: Option<Calibration>,
    /// The number to add to delivered magnitudes.
    pub(super) mag_add: f64,
}

/// A catalogue's rows before they are made into detections.
pub(super) struct Judged<'t, 'a> {
    table: &'t Table<'a>,
    layout: &'t Layout,
    keys: KeyColumns,
    positions: Positions,
    /// True for each row that is used; empty when all rows are.
    kept: Vec<bool>,
    /// True for each measure that the pipeline did not fill.
    unfilled: Vec<bool>,
    /// Rows that cannot be used.
    pub(super) faults: Vec<(usize, RowFault)>,
}

/// Counts of unusual values, made while rows are converted to detections.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Values without a number, per column of `detection`.
    pub(super) nan: BTreeMap<usize, u64>,
    /// Infinite values, per column of `detection`.
    pub(super) infinite: BTreeMap<usize, u64>,
    pub(super) classes: Classes,
}

/// Buffers that are reused from HDU to HDU.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    raw: Vec<u8>,
    class: Vec<f64>,
    quality_bits: Vec<u64>,
    kept_f64: [Vec<f64>; 2],
    distortion: Vec<f64>,
    sky: SkyColumns,
    photometry: photometry::Scratch,
}

#[derive(Debug, Default)]
struct KeyColumns {
    seq_num: Vec<f64>,
    x: Vec<f64>,
    y: Vec<f64>,
    ra: Vec<f64>,
    dec: Vec<f64>,
}

/// Reads the columns that identify and place the rows of an HDU, and finds those that cannot be used.
///
/// # Errors
/// Rows that cannot be read.
pub(super) fn judge<'t, 'a>(
    table: &'t Table<'a>,
    layout: &'t Layout,
    context: &HduContext<'_>,
    workspace: &mut Workspace,
) -> Result<Judged<'t, 'a>, FitsError> {
    let mut keys = KeyColumns::default();
    let mut unfilled: Vec<bool> =
        layout.measures.iter().map(|d| may_be_unfilled(d, context.profile)).collect();
    for range in blocks(table) {
        let rows = table.read_rows(range, &mut workspace.raw)?;
        keys.add(table, layout, &rows)?;
        for (measure, unfilled) in layout.measures.iter().zip(&mut unfilled) {
            *unfilled = *unfilled && all_zero(&rows, layout.column(*measure, table.columns()));
        }
    }
    let rules = &context.profile.catalogue.position;
    keys.count_from_1(rules.pixel_offset());
    let sources = keys.sources((table, layout), (context.wcs, &context.frame), context.profile);
    let positions = positions(&sources, rules);
    let found = faults(
        &Keys {
            seq_num: &keys.seq_num,
            x: &keys.x,
            y: &keys.y,
            ra_deg: &positions.ra_deg,
            dec_deg: &positions.dec_deg,
        },
        Bounds::of(context.detector.size_px, rules.margin_px),
    );
    let mut kept = Vec::new();
    if !found.is_empty() {
        kept.resize(keys.seq_num.len(), true);
        found.iter().for_each(|(row, _)| kept[*row] = false);
    }
    Ok(Judged { table, layout, keys, positions, kept, unfilled, faults: found })
}

fn may_be_unfilled(measure: &Delivered, profile: &SurveyProfile) -> bool {
    profile.catalogue.is_unfilled(&super::batch::detection().columns[measure.archive].name)
}

fn all_zero(rows: &Rows<'_>, column: &Column) -> bool {
    // -0.0 does not count as zero here, because a computation produced it.
    (0..rows.len()).all(|row| rows.cell(row, column).iter().all(|byte| *byte == 0))
}

/// Returns row ranges that cover a table.
fn blocks(table: &Table<'_>) -> impl Iterator<Item = Range<u64>> + use<> {
    let rows = table.rows();
    let step = (BLOCK_BYTES / table.row_bytes().max(1)).clamp(1, BLOCK_ROWS);
    (0..rows).step_by(step as usize).map(move |first| first..rows.min(first + step))
}

impl KeyColumns {
    fn add(
        &mut self,
        table: &Table<'_>,
        layout: &Layout,
        rows: &Rows<'_>,
    ) -> Result<(), FitsError> {
        self.read(table.columns(), layout, rows).map_err(|fault| table.error(fault))
    }

    fn read(
        &mut self,
        columns: &[Column],
        layout: &Layout,
        rows: &Rows<'_>,
    ) -> Result<(), FitsFault> {
        let first = rows.first();
        match layout.seq_num {
            None => self.seq_num.extend((0..rows.len() as u64).map(|row| (first + row + 1) as f64)),
            Some(at) => match layout.conversion(at) {
                Some(conversion) => conversion.numbers(rows, &mut self.seq_num)?,
                None => doubles(&columns[at.table], rows, &mut self.seq_num)?,
            },
        }
        for (at, out) in [(layout.x, &mut self.x), (layout.y, &mut self.y)] {
            match layout.conversion(at) {
                Some(conversion) => conversion.doubles(rows, out)?,
                None => doubles(&columns[at.table], rows, out)?,
            }
        }
        let Some((ra, dec)) = layout.ra_dec else { return Ok(()) };
        for (at, axis, out) in
            [(ra, Axis::RightAscension, &mut self.ra), (dec, Axis::Declination, &mut self.dec)]
        {
            match layout.conversion(at) {
                Some(conversion) => conversion.doubles(rows, out)?,
                None => angles(&columns[at.table], axis, rows, out)?,
            }
        }
        Ok(())
    }

    /// Returns the input of the positions.
    fn sources<'s>(
        &'s self,
        (table, layout): (&'s Table<'_>, &'s Layout),
        (wcs, frame): (Option<&'s Wcs>, &'s ColumnFrame),
        profile: &SurveyProfile,
    ) -> Sources<'s> {
        Sources {
            columns: layout.ra_dec.map(|(ra, dec)| SkyCells {
                columns: [ra, dec].map(|axis| layout.column(axis, table.columns())),
                in_degrees: [ra, dec].map(|axis| {
                    let conversion = layout.conversion(axis);
                    let is_written = is_text(&table.columns()[axis.table]);
                    conversion.map_or(is_written, |conversion| conversion.in_degrees)
                }),
                ra: &self.ra,
                dec: &self.dec,
                frame,
                keeps_fk5_2000: profile.astrometry.fk5_2000 == Fk5Rule::Keep,
            }),
            x: &self.x,
            y: &self.y,
            wcs,
        }
    }

    /// Adds the number to x and y that makes the centre of the first pixel 1.
    fn count_from_1(&mut self, offset: f64) {
        if offset != 0.0 {
            self.x.iter_mut().chain(&mut self.y).for_each(|v| *v += offset);
        }
    }
}

impl Judged<'_, '_> {
    /// Returns the number of rows of the table.
    pub(super) fn rows_read(&self) -> u64 {
        self.keys.seq_num.len() as u64
    }

    /// Returns the anomalies of the positions.
    pub(super) fn anomalies(&self) -> &[Anomaly] {
        &self.positions.anomalies
    }

    /// Returns true when RA and DEC were compared with the WCS.
    pub(super) fn is_compared(&self) -> bool {
        self.positions.compared
    }

    /// Returns the reason why no position can be trusted.
    pub(super) fn contradiction(&self) -> Option<&Contradiction> {
        self.positions.contradiction.as_ref()
    }

    /// Returns true when the rows are elsewhere than on the detector: RA and DEC contradict its WCS, or most rows have an x or y
    /// outside.
    pub(super) fn is_misplaced(&self) -> bool {
        let outside = self.faults.iter().filter(|(_, fault)| *fault == RowFault::OutsideDetector);
        matches!(self.contradiction(), Some(Contradiction::Wcs { .. }))
            || outside.count() > self.keys.x.len() / 2
    }

    /// Returns true when the rows fit another detector: RA and DEC agree with its WCS, and few rows have an x or y
    /// outside. Without RA and DEC, x and y alone decide.
    pub(super) fn fits(
        &self,
        detector: &Detector,
        wcs: Option<&Wcs>,
        frame: &ColumnFrame,
        profile: &SurveyProfile,
    ) -> bool {
        let rules = &profile.catalogue.position;
        let sources = self.keys.sources((self.table, self.layout), (wcs, frame), profile);
        let bounds = Bounds::of(detector.size_px, rules.margin_px);
        let pixels = self.keys.x.iter().zip(&self.keys.y);
        let outside = pixels.filter(|(x, y)| !bounds.hold(**x, **y)).count();
        let is_within =
            outside as f64 <= profile.limits.refused_rows_share * self.keys.x.len() as f64;
        is_within && (self.layout.ra_dec.is_none() || agree(&sources, rules))
    }

    /// Returns row ranges, each of which [`Judged::append`] converts in one piece.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        blocks(self.table)
    }

    /// Makes detections of a range of rows and appends them to the batch. `written` is the number of earlier rows of the
    /// programme. Returns how many rows were appended.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub(super) fn append(
        &self,
        range: Range<u64>,
        context: &HduContext<'_>,
        written: u64,
        batch: &mut Batch,
        workspace: &mut Workspace,
        counts: &mut Counts,
    ) -> Result<usize, FitsError> {
        let span = range.start as usize..range.end as usize;
        let mut raw = std::mem::take(&mut workspace.raw);
        // A table of one block was read a moment ago, and its rows are still in memory.
        let rows = self.table.read_rows(range, &mut raw)?;
        self.decode(&rows, context, batch, workspace).map_err(|fault| self.table.error(fault))?;
        workspace.raw = raw;
        let rows = self.place(span, batch, context, workspace);
        self.tidy(context, batch, workspace, counts);
        constants(batch, rows, context, written);
        let quality = &context.profile.catalogue.quality;
        if self.layout.class.is_some() {
            let classes = quality::set_classes(batch, &workspace.class, quality);
            counts.classes.unclassified += classes.unclassified;
            counts.classes.not_whole += classes.not_whole;
        }
        quality::set_bits(batch, rows, quality, &workspace.quality_bits);
        calibrate(batch, rows, context, workspace);
        batch.finish_block(rows);
        Ok(rows)
    }

    /// Decodes the measures of all rows, then keeps only those of the kept rows.
    fn decode(
        &self,
        rows: &Rows<'_>,
        context: &HduContext<'_>,
        batch: &mut Batch,
        workspace: &mut Workspace,
    ) -> Result<(), FitsFault> {
        let columns = self.table.columns();
        let row_bytes = self.table.row_bytes() as usize;
        workspace.class.clear();
        workspace.quality_bits.clear();
        for first in (0..rows.len()).step_by(TILE_ROWS) {
            let count = TILE_ROWS.min(rows.len() - first);
            let bytes = &rows.bytes()[first * row_bytes..(first + count) * row_bytes];
            let row = rows.first() + first as u64;
            let tile = Rows::new(bytes, row_bytes, row, count).expect("whole rows were cut out");
            for (measure, _) in
                self.layout.measures.iter().zip(&self.unfilled).filter(|(_, unfilled)| !**unfilled)
            {
                let out = batch.column::<f32>(measure.archive);
                let more = if measure.is_magnitude { context.mag_add } else { 0.0 };
                match self.layout.conversion(*measure) {
                    Some(conversion) => conversion.singles(&tile, more, out)?,
                    None if more == 0.0 => singles(&columns[measure.table], &tile, out)?,
                    None => sums(&columns[measure.table], &tile, more, out)?,
                }
            }
            if let Some(class) = self.layout.class {
                match self.layout.conversion(class) {
                    Some(conversion) => conversion.doubles(&tile, &mut workspace.class)?,
                    None => doubles(&columns[class.table], &tile, &mut workspace.class)?,
                }
            }
            if let Some(flags) = self.layout.quality_bits {
                let column = self.layout.column(flags, columns);
                bits(column, &tile, &mut workspace.quality_bits)?;
            }
        }
        let span = rows.first() as usize..rows.first() as usize + rows.len();
        if let Some(kept) = self.kept.get(span) {
            batch.keep(kept);
            retain(&mut workspace.class, kept);
            retain(&mut workspace.quality_bits, kept);
        }
        Ok(())
    }

    /// Appends sequence numbers and positions of the kept rows; returns their number.
    fn place(
        &self,
        span: Range<usize>,
        batch: &mut Batch,
        context: &HduContext<'_>,
        workspace: &mut Workspace,
    ) -> usize {
        let at = key_positions();
        let kept = self.kept.get(span.clone());
        let seq_num = batch.column::<i32>(at.seq_num);
        let before = seq_num.len();
        let numbers = &self.keys.seq_num[span.clone()];
        match kept {
            None => seq_num.extend(numbers.iter().map(|v| *v as i32)),
            Some(kept) => {
                seq_num
                    .extend(numbers.iter().zip(kept).filter(|(_, k)| **k).map(|(v, _)| *v as i32));
            }
        }
        let rows = seq_num.len() - before;
        for (column, values) in [
            (at.x, &self.keys.x),
            (at.y, &self.keys.y),
            (at.ra, &self.positions.ra_deg),
            (at.dec, &self.positions.dec_deg),
        ] {
            push_kept(batch.column::<f64>(column), &values[span.clone()], kept);
        }
        let [ra, dec] = &mut workspace.kept_f64;
        ra.clear();
        dec.clear();
        push_kept(ra, &self.positions.ra_deg[span.clone()], kept);
        push_kept(dec, &self.positions.dec_deg[span], kept);
        workspace.sky.refill(ra, dec);
        if context.profile.astrometry.fk5_2000 == Fk5Rule::Rotate {
            workspace.sky.turn_galactic_to_icrs();
        }
        let sky = &workspace.sky;
        for (column, values) in at.sky.iter().zip([
            &sky.cx,
            &sky.cy,
            &sky.cz,
            &sky.l_deg,
            &sky.b_deg,
            &sky.lambda_deg,
            &sky.eta_deg,
        ]) {
            batch.column::<f64>(*column).extend_from_slice(values);
        }
        batch.column::<i64>(at.htm_id).extend_from_slice(&sky.htm_id);
        batch.column::<i64>(at.healpix29).extend_from_slice(&sky.healpix29);
        rows
    }

    /// Counts values that are not numbers; infinities become NULL unless the profile keeps them.
    fn tidy(
        &self,
        context: &HduContext<'_>,
        batch: &mut Batch,
        workspace: &Workspace,
        counts: &mut Counts,
    ) {
        let keep_infinities = context.profile.limits.keep_infinities;
        for (measure, _) in
            self.layout.measures.iter().zip(&self.unfilled).filter(|(_, unfilled)| !**unfilled)
        {
            let Some(values) = batch.block::<f32>(measure.archive) else { continue };
            let mut all_finite = true;
            for value in values.iter() {
                all_finite &= value.is_finite();
            }
            if all_finite {
                continue;
            }
            let (mut nan, mut infinite) = (0, 0);
            for value in values {
                nan += u64::from(value.is_nan());
                if value.is_infinite() && !keep_infinities {
                    infinite += 1;
                    *value = f32::NAN;
                }
            }
            add(&mut counts.nan, measure.archive, nan);
            add(&mut counts.infinite, measure.archive, infinite);
        }
        if self.layout.class.is_some() {
            let nan = workspace.class.iter().filter(|v| v.is_nan()).count() as u64;
            add(&mut counts.nan, position("class"), nan);
        }
    }
}

/// Removes the values of rows that are not kept, if there are any values.
fn retain<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next().is_some_and(|kept| *kept));
}

fn add(counts: &mut BTreeMap<usize, u64>, column: usize, count: u64) {
    if count > 0 {
        *counts.entry(column).or_default() += count;
    }
}

fn push_kept(out: &mut Vec<f64>, values: &[f64], kept: Option<&[bool]>) {
    match kept {
        None => out.extend_from_slice(values),
        Some(kept) => out.extend(values.iter().zip(kept).filter(|(_, k)| **k).map(|(v, _)| *v)),
    }
}

struct KeyPositions {
    seq_num: usize,
    x: usize,
    y: usize,
    ra: usize,
    dec: usize,
    sky: [usize; 7],
    htm_id: usize,
    healpix29: usize,
    constants: [usize; 4],
    obj_id: usize,
    filter_id: usize,
    mjd: usize,
}

fn key_positions() -> &'static KeyPositions {
    static POSITIONS: OnceLock<KeyPositions> = OnceLock::new();
    POSITIONS.get_or_init(|| KeyPositions {
        seq_num: position("seq_num"),
        x: position("x"),
        y: position("y"),
        ra: position("ra"),
        dec: position("dec"),
        sky: ["cx", "cy", "cz", "l", "b", "lambda", "eta"].map(position),
        htm_id: position("htm_id"),
        healpix29: position("healpix29"),
        constants: ["programme_id", "multiframe_id", "ext_num", "version"].map(position),
        obj_id: position("obj_id"),
        filter_id: position("filter_id"),
        mjd: position("mjd"),
    })
}

/// Fills the columns that are equal for all rows of a detector, and the temporary object ids: -1, -2 ... within the programme.
fn constants(batch: &mut Batch, rows: usize, context: &HduContext<'_>, written: u64) {
    let at = key_positions();
    let [programme_id, multiframe_id, ext_num, version] = at.constants;
    batch.fill(programme_id, rows, context.programme_id);
    batch.fill(multiframe_id, rows, context.detector.multiframe_id.get());
    batch.fill(ext_num, rows, context.detector.ext_num.get());
    batch.fill(version, rows, context.version);
    let first = written as i64 + 1;
    batch.column::<i64>(at.obj_id).extend((0..rows as i64).map(|row| -(first + row)));
    if let Some(filter_id) = context.detector.filter_id {
        batch.fill(at.filter_id, rows, filter_id);
    }
    if let Some(mjd) = context.detector.mjd {
        batch.fill(at.mjd, rows, mjd);
    }
}

fn calibrate(batch: &mut Batch, rows: usize, context: &HduContext<'_>, workspace: &mut Workspace) {
    let at = key_positions();
    let rules = &context.profile.catalogue.photometry;
    if rules.are_delivered() {
        return;
    }
    let wcs = context.wcs.filter(|_| rules.distortion == Distortion::Wcs);
    if let Some(wcs) = wcs {
        let [x, y] = &mut workspace.kept_f64;
        for (to, column) in [(&mut *x, at.x), (&mut *y, at.y)] {
            to.clear();
            to.extend_from_slice(batch.block::<f64>(column).unwrap_or_default());
        }
        wcs.flux_distortions(x, y, &mut workspace.distortion);
    }
    photometry::calibrate(
        batch,
        rows,
        context.detector.photometry.percentage_correction.unwrap_or(0.0),
        wcs.map(|_| workspace.distortion.as_slice()),
        context.calibration.as_ref(),
        &mut workspace.photometry,
    );
}
