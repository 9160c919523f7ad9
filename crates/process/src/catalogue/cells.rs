//! The cells of a table as numbers: as they are stored, or as a spelling of the profile converts them.
//!
//! What a spelling means for a table is decided once, in [`Converted::of`]. Columns without a conversion are read by
//! [`singles`] and [`doubles`] alone.

use super::angle::{Axis, Declared};
use super::positions::is_text;
use fits::{AsciiKind, Column, ColumnKind, Element, FitsFault, Rows};
use model::profile::{CellFormat, Spelling, unit_factor};
use model::tables::{self, ColumnType};

/// A column, or one element of a vector column, whose values are converted when they are read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Converted {
    /// The column; one element of a vector column as a column of single numbers.
    pub(super) column: Column,
    /// Content of cells of text.
    text: Option<TextCells>,
    /// Values that mean unknown, as they are delivered.
    unknown: Vec<f64>,
    sqrt: bool,
    factor: f64,
    add: f64,
    /// The number to add to whole numbers.
    add_whole: i64,
    /// True for angles that are degrees after the conversion.
    pub(super) in_degrees: bool,
    /// True when the cells can be read as the spelling describes them.
    pub(super) is_usable: bool,
}

/// The content of cells of text.
#[derive(Clone, Debug, PartialEq)]
enum TextCells {
    /// Decimal numbers; another text is unknown.
    Numbers,
    /// Angles; a text that is no angle is infinite.
    Angles(Declared, Axis),
}

/// Returns the position of the column that a spelling names, and the number of its element from 0.
fn located(columns: &[Column], spelling: &Spelling) -> Option<(usize, Option<usize>)> {
    let named = |ttype: &str| {
        columns.iter().position(|column| {
            column.name.as_deref().is_some_and(|n| n.trim().eq_ignore_ascii_case(ttype.trim()))
        })
    };
    if let Some(at) = named(&spelling.column) {
        return Some((at, None));
    }
    let (ttype, number) = spelling.element()?;
    let at = named(ttype)?;
    let has_element = matches!(columns[at].kind, ColumnKind::Cells(_));
    let element = number.checked_sub(1).filter(|n| has_element && *n < columns[at].repeat)?;
    Some((at, Some(element)))
}

/// Returns one element of a vector column as a column.
fn element_of(column: &Column, element: usize) -> Column {
    let bytes = column.bytes / column.repeat.max(1);
    Column {
        repeat: 1,
        offset: column.offset + element * bytes,
        bytes,
        tdim: None,
        shape: Vec::new(),
        ..column.clone()
    }
}

impl Converted {
    /// Returns the position of the column that a spelling names, with the conversion of its values if there is one; `None`
    /// when the table does not have it. `wanted` is the column of the archive, `unknown` are the values that mean unknown in
    /// every column of floating-point numbers.
    pub(super) fn of(
        columns: &[Column],
        spelling: &Spelling,
        wanted: &tables::Column,
        unknown: &[f64],
    ) -> Option<(usize, Option<Self>)> {
        let (at, element) = located(columns, spelling)?;
        let stored = &columns[at];
        let axis = match wanted.name.as_str() {
            "ra" => Some(Axis::RightAscension),
            "dec" => Some(Axis::Declination),
            _ => None,
        };
        let unit = spelling.unit.as_deref().or_else(|| {
            // The unit of RA and DEC is checked by the WCS.
            let declares = wanted.kind == ColumnType::F32 && !spelling.is_computed();
            stored.unit.as_deref().filter(|_| declares)
        });
        let factor = unit.and_then(|unit| unit_factor(unit, &wanted.unit)).unwrap_or(1.0);
        let is_float = match stored.kind {
            ColumnKind::Cells(element) => element.is_float(),
            ColumnKind::Ascii(kind) => kind == AsciiKind::Real,
            ColumnKind::Arrays { .. } => false,
        };
        let mut unknown: Vec<f64> = unknown.iter().copied().filter(|_| is_float).collect();
        unknown.extend(&spelling.unknown);
        let text = text_cells(stored, spelling, axis);
        let is_converted = element.is_some()
            || factor != 1.0
            || !unknown.is_empty()
            || spelling.is_computed()
            || spelling.unit.is_some()
            || spelling.format.is_some();
        let column = element.map_or_else(|| stored.clone(), |n| element_of(stored, n));
        let is_sexagesimal = spelling.format.is_some_and(CellFormat::is_sexagesimal);
        let converted = is_converted.then(|| Self {
            is_usable: text.is_some() || (is_number(&column) && !is_sexagesimal),
            column,
            in_degrees: spelling.unit.is_some() || spelling.is_computed() || text.is_some(),
            // Angles as text are degrees already.
            factor: spelling.scale
                * if matches!(text, Some(TextCells::Angles(..))) { 1.0 } else { factor },
            text,
            unknown,
            sqrt: spelling.sqrt,
            add: spelling.add.real(),
            add_whole: spelling.add.whole().unwrap_or(0),
        });
        Some((at, converted))
    }

    /// Returns true when the values are those of the column.
    fn is_copy(&self) -> bool {
        self.text.is_none() && self.unknown.is_empty() && !self.is_computed()
    }

    fn is_computed(&self) -> bool {
        self.sqrt || self.factor != 1.0 || self.add != 0.0
    }

    /// Appends the converted values, NaN for unknown ones.
    pub(super) fn doubles(&self, rows: &Rows<'_>, out: &mut Vec<f64>) -> Result<(), FitsFault> {
        let first = out.len();
        match &self.text {
            None => doubles(&self.column, rows, out)?,
            Some(cells) => self.texts(cells, rows, out)?,
        }
        let values = &mut out[first..];
        if !self.unknown.is_empty() {
            values.iter_mut().filter(|v| self.is_unknown(**v)).for_each(|v| *v = f64::NAN);
        }
        if self.is_computed() {
            for value in values {
                let root = if self.sqrt { value.sqrt() } else { *value };
                *value = root * self.factor + self.add;
            }
        }
        Ok(())
    }

    /// Appends the converted values in single precision, with a number added to them.
    pub(super) fn singles(
        &self,
        rows: &Rows<'_>,
        more: f64,
        out: &mut Vec<f32>,
    ) -> Result<(), FitsFault> {
        if self.is_copy() && more == 0.0 {
            return singles(&self.column, rows, out);
        }
        let mut values = Vec::with_capacity(rows.len());
        self.doubles(rows, &mut values)?;
        out.extend(values.into_iter().map(|value| (value + more) as f32));
        Ok(())
    }

    /// Appends whole numbers as doubles, NaN for unknown ones. The sum with the number to add is exact, so that only numbers
    /// beyond 53 bits are rounded, which are no sequence numbers.
    pub(super) fn numbers(&self, rows: &Rows<'_>, out: &mut Vec<f64>) -> Result<(), FitsFault> {
        let add = i128::from(self.add_whole);
        let number = |whole: Option<i128>| {
            let known = whole.filter(|whole| !self.is_unknown(*whole as f64));
            known.map_or(f64::NAN, |whole| (whole + add) as f64)
        };
        if self.text.is_some() {
            let mut cells = Vec::new();
            self.column.texts(rows, &mut cells)?;
            out.extend(cells.iter().map(|cell| match cell.trim().parse::<i64>() {
                Ok(whole) => number(Some(whole.into())),
                Err(_) => number_in(cell) + add as f64,
            }));
            return Ok(());
        }
        match whole_numbers(&self.column, rows)? {
            Some(numbers) => out.extend(numbers.into_iter().map(number)),
            None => self.doubles(rows, out)?,
        }
        Ok(())
    }

    fn texts(
        &self,
        content: &TextCells,
        rows: &Rows<'_>,
        out: &mut Vec<f64>,
    ) -> Result<(), FitsFault> {
        let mut cells = Vec::new();
        self.column.texts(rows, &mut cells)?;
        match content {
            TextCells::Numbers => out.extend(cells.iter().map(|cell| number_in(cell))),
            TextCells::Angles(declared, axis) => {
                out.extend(cells.iter().map(|cell| declared.degrees_of_text(cell, *axis)));
            }
        }
        Ok(())
    }

    /// Returns true for a value that means unknown. A number of single precision is compared in single precision.
    fn is_unknown(&self, value: f64) -> bool {
        self.unknown.iter().any(|unknown| {
            value == *unknown
                || (*unknown as f32 == value as f32 && f64::from(value as f32) == value)
        })
    }
}

/// Returns the content of a column of text; `None` for another column, or a text that the spelling does not expect.
fn text_cells(column: &Column, spelling: &Spelling, axis: Option<Axis>) -> Option<TextCells> {
    if !is_text(column) {
        return None;
    }
    let unit = spelling.unit.as_deref().or(column.unit.as_deref());
    let angles = |declared, axis| TextCells::Angles(declared, axis);
    match (spelling.format, axis) {
        (None, Some(axis)) => Some(angles(Declared::of(unit, axis), axis)),
        (Some(CellFormat::TextNumber), Some(axis)) => {
            let unit = spelling.unit.as_deref().or(column.unit.as_deref()).or(Some("deg"));
            Some(angles(Declared::of(unit, axis), axis))
        }
        (Some(CellFormat::SexagesimalH), _) => {
            Some(angles(Declared::SexagesimalHours, axis.unwrap_or(Axis::RightAscension)))
        }
        (Some(CellFormat::SexagesimalD), _) => {
            Some(angles(Declared::SexagesimalDegrees, axis.unwrap_or(Axis::Declination)))
        }
        (Some(CellFormat::TextNumber), None) => Some(TextCells::Numbers),
        (None | Some(CellFormat::Number), _) => None,
    }
}

/// Returns the number that a cell of text holds, NaN for another text.
fn number_in(cell: &str) -> f64 {
    cell.trim().parse().unwrap_or(f64::NAN)
}

/// Returns the whole numbers of a column of integers without loss of digits, `None` for an undefined one; `None` for another
/// column.
pub(super) fn whole_numbers(
    column: &Column,
    rows: &Rows<'_>,
) -> Result<Option<Vec<Option<i128>>>, FitsFault> {
    let Some(zero) = column.integer_zero() else { return Ok(None) };
    let (mut stored, mut nulls) = (Vec::new(), Vec::new());
    column.stored_i64s(rows, &mut stored)?;
    if may_be_undefined(column) {
        column.nulls(rows, &mut nulls)?;
    }
    nulls.resize(stored.len(), false);
    let physical = |(stored, null): (i64, bool)| (!null).then_some(i128::from(stored) + zero);
    Ok(Some(stored.into_iter().zip(nulls).map(physical).collect()))
}

/// Appends the values of a column, NaN where TNULL marks a value as undefined.
pub(super) fn doubles(
    column: &Column,
    rows: &Rows<'_>,
    out: &mut Vec<f64>,
) -> Result<(), FitsFault> {
    let first = out.len();
    column.f64s(rows, out)?;
    blank(column, rows, &mut out[first..], f64::NAN)
}

/// Appends the values of RA or DEC: numbers as in the file, text as degrees.
pub(super) fn angles(
    column: &Column,
    axis: Axis,
    rows: &Rows<'_>,
    out: &mut Vec<f64>,
) -> Result<(), FitsFault> {
    if !is_text(column) {
        return doubles(column, rows, out);
    }
    let declared = Declared::of(column.unit.as_deref(), axis);
    let mut cells = Vec::new();
    column.texts(rows, &mut cells)?;
    out.extend(cells.iter().map(|cell| declared.degrees_of_text(cell, axis)));
    Ok(())
}

/// Appends the values of a column in single precision, NaN where TNULL marks a value as undefined.
pub(super) fn singles(
    column: &Column,
    rows: &Rows<'_>,
    out: &mut Vec<f32>,
) -> Result<(), FitsFault> {
    let first = out.len();
    column.f32s(rows, out)?;
    blank(column, rows, &mut out[first..], f32::NAN)
}

/// Appends the sums of the values of a column and a number in single precision.
pub(super) fn sums(
    column: &Column,
    rows: &Rows<'_>,
    more: f64,
    out: &mut Vec<f32>,
) -> Result<(), FitsFault> {
    let mut values = Vec::with_capacity(rows.len());
    doubles(column, rows, &mut values)?;
    out.extend(values.into_iter().map(|value| (value + more) as f32));
    Ok(())
}

/// Appends the bits of quality flags: no bits for unknown, negative and broken numbers.
pub(super) fn bits(column: &Column, rows: &Rows<'_>, out: &mut Vec<u64>) -> Result<(), FitsFault> {
    if let Some(numbers) = whole_numbers(column, rows)? {
        let bits = |number: Option<i128>| number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        out.extend(numbers.into_iter().map(bits));
        return Ok(());
    }
    let mut values = Vec::with_capacity(rows.len());
    doubles(column, rows, &mut values)?;
    // Numbers below 0 and NaN are 0.
    out.extend(values.into_iter().map(|value| if value.fract() == 0.0 { value as u64 } else { 0 }));
    Ok(())
}

fn blank<T: Copy>(
    column: &Column,
    rows: &Rows<'_>,
    values: &mut [T],
    nothing: T,
) -> Result<(), FitsFault> {
    if may_be_undefined(column) {
        let mut nulls = Vec::new();
        column.nulls(rows, &mut nulls)?;
        for (value, _) in values.iter_mut().zip(&nulls).filter(|(_, null)| **null) {
            *value = nothing;
        }
    }
    Ok(())
}

/// Returns true when a column holds one number per row.
pub(super) fn is_number(column: &Column) -> bool {
    match column.kind {
        ColumnKind::Cells(element) => {
            column.repeat == 1 && (element.is_integer() || element.is_float())
        }
        ColumnKind::Ascii(kind) => kind != AsciiKind::Text,
        ColumnKind::Arrays { .. } => false,
    }
}

/// Returns true when TNULL may occur in a column.
fn may_be_undefined(column: &Column) -> bool {
    column.tnull.is_some() && column.element().is_none_or(Element::is_integer)
}

#[cfg(test)]
mod tests {
    use super::super::batch::detection;
    use super::*;
    use model::profile::Addend;

    fn column(name: &str, element: Element, repeat: usize, unit: Option<&str>) -> Column {
        let bytes = element.bytes(repeat as u64).unwrap() as usize;
        Column {
            number: 1,
            name: Some(name.to_owned()),
            tform: format!("{repeat}?"),
            kind: ColumnKind::Cells(element),
            repeat,
            offset: 0,
            bytes,
            unit: unit.map(str::to_owned),
            tscal: None,
            tzero: None,
            tnull: None,
            tdisp: None,
            tdim: None,
            shape: Vec::new(),
        }
    }

    fn converted(columns: &[Column], spelling: &Spelling, archive: &str) -> Option<Converted> {
        let wanted = detection().column(archive).unwrap();
        Converted::of(columns, spelling, wanted, &[])?.1
    }

    /// Returns the values of a table of one column, whose cells are `bytes`.
    fn values(column: &Column, spelling: &Spelling, archive: &str, bytes: &[u8]) -> Vec<f64> {
        let rows = Rows::new(bytes, column.bytes, 0, bytes.len() / column.bytes).unwrap();
        let mut out = Vec::new();
        match converted(std::slice::from_ref(column), spelling, archive) {
            Some(found) if archive == "seq_num" => found.numbers(&rows, &mut out).unwrap(),
            Some(found) => found.doubles(&rows, &mut out).unwrap(),
            None => doubles(column, &rows, &mut out).unwrap(),
        }
        out
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_be_bytes()).collect()
    }

    /// NaN as `None`.
    fn known(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().map(|v| (!v.is_nan()).then_some(*v)).collect()
    }

    #[test]
    fn elements_of_vector_columns_count_from_1() {
        let aper = column("FLUX_APER", Element::Float, 3, None);
        let bytes = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let of = |name: &str| values(&aper, &Spelling::named(name), "aper_flux3", &bytes);
        assert_eq!(of("FLUX_APER[1]"), [1.0, 4.0]);
        assert_eq!(of("flux_aper[3]"), [3.0, 6.0]);
        for absent in ["FLUX_APER[4]", "FLUX[1]", "FLUX_APER[0]", "FLUX_APER[x]"] {
            let wanted = detection().column("aper_flux3").unwrap();
            let spelling = Spelling::named(absent);
            let found = Converted::of(std::slice::from_ref(&aper), &spelling, wanted, &[]);
            assert!(found.is_none(), "{absent}");
        }
        // A name that has brackets itself counts first.
        let columns = [aper, column("FLUX_APER[2]", Element::Float, 1, None)];
        let wanted = detection().column("aper_flux3").unwrap();
        let found = Converted::of(&columns, &Spelling::named("FLUX_APER[2]"), wanted, &[]);
        assert_eq!(found, Some((1, None)));
    }

    #[test]
    fn identities_of_64_bits_lose_no_digit() {
        let mut id = column("sourceid", Element::Long, 1, None);
        let large = 1_i64 << 62;
        let cells = [large + 1, large + 2, large + 3, i64::MAX, -5];
        let bytes: Vec<u8> = cells.iter().flat_map(|v| v.to_be_bytes()).collect();
        let spelling = |add| Spelling { add: Addend::Whole(add), ..Spelling::named("sourceid") };
        let found = values(&id, &spelling(-large), "seq_num", &bytes);
        assert_eq!(found[..3], [1.0, 2.0, 3.0]);
        assert!(found[3] > f64::from(i32::MAX) && found[4] < 1.0);
        // Zero-based, unsigned by TZERO, undefined by TNULL, unknown by the profile.
        let mut short = column("sourceid", Element::Short, 1, None);
        short.tzero = Some(32_768.0);
        let bytes: Vec<u8> =
            [-32_768_i16, -32_767, 7].iter().flat_map(|v| v.to_be_bytes()).collect();
        assert_eq!(values(&short, &spelling(1), "seq_num", &bytes), [1.0, 2.0, 32_776.0]);
        short.tnull = Some(fits::Null::Integer(7));
        let unknown = Spelling { unknown: vec![1.0], ..spelling(1) };
        assert_eq!(known(&values(&short, &unknown, "seq_num", &bytes)), [Some(1.0), None, None]);
        // Beyond 63 bits once TZERO is added.
        id.tzero = Some(9_223_372_036_854_775_808.0);
        let bytes = i64::MAX.to_be_bytes();
        assert!(values(&id, &spelling(1), "seq_num", &bytes)[0] > 1.8e19);
    }

    #[test]
    fn texts_are_numbers_or_angles() {
        let text = column("T", Element::Text, 12, None);
        let bytes = |cells: &[&str]| -> Vec<u8> {
            cells.iter().flat_map(|cell| format!("{cell:<12}").into_bytes()).collect()
        };
        let of = |format, archive: &str, cells: &[&str]| {
            let spelling = Spelling { format: Some(format), ..Spelling::named("T") };
            known(&values(&text, &spelling, archive, &bytes(cells)))
        };
        use CellFormat::{SexagesimalD, SexagesimalH, TextNumber};
        let found = of(TextNumber, "kron_mag", &[" 17.25", "-1e2", "n/a", ""]);
        assert_eq!(found, [Some(17.25), Some(-100.0), None, None]);
        let found = of(TextNumber, "seq_num", &["12", "12.5", "x"]);
        assert_eq!(found, [Some(12.0), Some(12.5), None]);
        assert_eq!(of(SexagesimalH, "ra", &["08:30:00"]), [Some(127.5)]);
        assert_eq!(of(SexagesimalD, "ra", &["08:30:00"]), [Some(8.5)]);
        assert_eq!(of(SexagesimalD, "dec", &["-08 30 36"]), [Some(-8.51)]);
        assert_eq!(of(SexagesimalD, "pa", &["90:30:00"]), [Some(90.5)]);
        assert_eq!(of(TextNumber, "ra", &["187.5"]), [Some(187.5)]);
        assert_eq!(of(SexagesimalH, "ra", &["nowhere", " "]), [Some(f64::INFINITY), None]);
        // Without a format text is no measure, and numbers are no sexagesimal text.
        let plain = Spelling { scale: 2.0, ..Spelling::named("T") };
        assert!(!converted(std::slice::from_ref(&text), &plain, "kron_mag").unwrap().is_usable);
        let number = [column("T", Element::Double, 1, None)];
        let written = Spelling { format: Some(SexagesimalH), ..Spelling::named("T") };
        assert!(!converted(&number, &written, "ra").unwrap().is_usable);
    }

    #[test]
    fn values_are_converted_in_order() {
        let measure = |unit| column("V", Element::Float, 1, unit);
        let bytes = floats(&[4.0, -99.9, -1.0, 0.0]);
        let spelling = Spelling {
            sqrt: true,
            scale: 3.0,
            add: Addend::Whole(1),
            unknown: vec![-99.9],
            ..Spelling::named("v")
        };
        let found = known(&values(&measure(None), &spelling, "x_err", &bytes));
        assert_eq!(found, [Some(7.0), None, None, Some(1.0)]);
        let in_unit = |unit: Option<&str>, declared, scale| {
            let unit = unit.map(str::to_owned);
            let spelling = Spelling { unit, scale, ..Spelling::named("V") };
            values(&measure(declared), &spelling, "kron_mag_err", &floats(&[8.0]))
        };
        assert_eq!(in_unit(Some("mmag"), Some("mag"), 1.0), [0.008]);
        assert_eq!(in_unit(Some("mmag"), None, 2.0), [0.016]);
        assert_eq!(in_unit(None, Some("mmag"), 1.0), [0.008], "TUNIT");
        assert_eq!(in_unit(None, Some("mmag"), 2.0), [16.0], "the profile has converted");
        assert_eq!(in_unit(None, Some("Jy"), 1.0), [8.0]);
        // Degrees after the unit of the spelling, whatever TUNIT declares.
        let unit = Some("h".to_owned());
        let hours = Spelling { unit, ..Spelling::named("V") };
        let found = converted(&[measure(Some("rad"))], &hours, "ra").unwrap();
        assert!(found.in_degrees);
        assert_eq!(values(&measure(Some("rad")), &hours, "ra", &floats(&[2.0])), [30.0]);
    }

    #[test]
    fn columns_without_conversion_are_read_as_they_are() {
        let columns = [
            column("V", Element::Float, 1, Some("ADU")),
            column("PA", Element::Float, 1, Some("Degrees")),
            column("N", Element::Int, 1, None),
        ];
        for (name, archive) in [("V", "sky"), ("PA", "pa"), ("N", "seq_num")] {
            assert_eq!(converted(&columns, &Spelling::named(name), archive), None, "{name}");
        }
        // `unknown` of the catalogue is for floating-point numbers.
        let of = |name, archive: &str| {
            let wanted = detection().column(archive).unwrap();
            Converted::of(&columns, &Spelling::named(name), wanted, &[-99.0]).unwrap().1.is_some()
        };
        assert!(of("V", "sky") && !of("N", "seq_num"));
    }

    #[test]
    fn units_have_the_degrees_that_angles_have() {
        for unit in ["deg", "rad", "hourangle", "arcmin", "arcsec", "mas"] {
            let degrees = unit_factor(unit, "deg").unwrap();
            match Declared::of(Some(unit), Axis::RightAscension) {
                Declared::Unit(angle) => {
                    assert!((angle.degrees / degrees - 1.0).abs() < 1e-15, "{unit}");
                }
                other => panic!("{unit}: {other:?}"),
            }
        }
    }

    #[test]
    fn flags_keep_every_bit() {
        let flags = column("FLAGS", Element::Long, 1, None);
        let cells = [3_i64, (1 << 40) | 1, -1];
        let bytes: Vec<u8> = cells.iter().flat_map(|v| v.to_be_bytes()).collect();
        let rows = Rows::new(&bytes, 8, 0, 3).unwrap();
        let mut out = Vec::new();
        bits(&flags, &rows, &mut out).unwrap();
        assert_eq!(out, [3, (1 << 40) | 1, 0]);
        let bytes = floats(&[4.0, 4.5, f32::NAN, -2.0]);
        let rows = Rows::new(&bytes, 4, 0, 4).unwrap();
        let mut out = Vec::new();
        bits(&column("FLAGS", Element::Float, 1, None), &rows, &mut out).unwrap();
        assert_eq!(out, [4, 0, 0, 0]);
    }
}
