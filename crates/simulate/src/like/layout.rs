//! Headers and tables from texts: a line per card, a line per column.

use fits::write::{Checks, Field, HeaderBuilder, Rows, WriteFault, bin_table_rows};

/// Returns a text in which each `{name}` is replaced by its value.
pub(super) fn filled(text: &str, value: &dyn Fn(&str) -> String) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        filled.push_str(&value(name));
        filled.push_str(rest);
    }
    filled
}

/// Makes a header from lines `KEYWORD VALUE` or `KEYWORD VALUE / COMMENT`, in which each `{name}` is replaced by its value. A value
/// in quotes is a text. A keyword without a value has its card without one.
pub(super) fn header(lines: &str, value: &dyn Fn(&str) -> String) -> HeaderBuilder {
    let mut header = HeaderBuilder::new();
    for line in lines.lines() {
        let line = filled(line, value);
        let (keyword, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if keyword == "COMMENT" {
            header.comment(rest);
            continue;
        }
        let (value, comment) = rest.split_once(" / ").unwrap_or((rest, ""));
        match value.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            Some(text) => header.text(keyword, text, comment),
            None if comment.is_empty() => {
                header.card(format!("{keyword:8}= {value:>20}").as_bytes())
            }
            None => header.card(format!("{keyword:8}= {value:>20} / {comment}").as_bytes()),
        };
    }
    header
}

/// Appends a binary table whose columns are the lines `NAME FORM UNIT SOURCES` (unit `-` for none). `SOURCES` are the names of
/// the elements' values, separated by commas; the last one serves for the rest of a vector.
pub(super) fn push_table(
    out: &mut Vec<u8>,
    columns: &str,
    rows: usize,
    value: &dyn Fn(usize, &str) -> f64,
    header: &HeaderBuilder,
) -> Result<(), WriteFault> {
    let mut fields = Vec::new();
    let mut cells: Vec<(u8, &str)> = Vec::new();
    for line in columns.lines() {
        let mut words = line.split_whitespace();
        let [name, form, unit, sources] = std::array::from_fn(|_| words.next().unwrap_or_default());
        let field = Field::new(name, form);
        fields.push(if unit == "-" { field } else { field.unit(unit) });
        let letter = form.as_bytes()[form.len() - 1];
        let repeat = form[..form.len() - 1].parse().unwrap_or(1);
        let mut sources = sources.split(',');
        let mut source = "";
        for _ in 0..repeat {
            source = sources.next().unwrap_or(source);
            cells.push((letter, source));
        }
    }
    let mut bytes = Vec::new();
    for row in 0..rows {
        for (letter, source) in &cells {
            push_cell(&mut bytes, *letter, value(row, source));
        }
    }
    let mut row = Vec::new();
    cells.iter().for_each(|(letter, _)| push_cell(&mut row, *letter, 0.0));
    let table = Rows { row_bytes: row.len(), bytes: &bytes, heap: &[] };
    bin_table_rows(out, &fields, &table, header, Checks::Written)
}

/// Appends a value in the form of a letter of TFORM.
fn push_cell(bytes: &mut Vec<u8>, letter: u8, value: f64) {
    match letter {
        b'I' => bytes.extend((value as i16).to_be_bytes()),
        b'J' => bytes.extend((value as i32).to_be_bytes()),
        b'K' => bytes.extend((value as i64).to_be_bytes()),
        b'E' => bytes.extend((value as f32).to_be_bytes()),
        _ => bytes.extend(value.to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_cards_and_columns() {
        let lines = "OBJECT '{what}' / of the sky\nEXPTIME {seconds}\nCOMMENT free text";
        let value = |name: &str| format!("<{name}>");
        let header = header(lines, &value);
        let cards = String::from_utf8(header.cards().unwrap().to_vec()).unwrap();
        assert!(cards.starts_with("OBJECT  = '<what>  '           / of the sky"), "{cards}");
        assert!(cards.contains("EXPTIME =            <seconds> "), "{cards}");
        assert!(cards.contains("COMMENT free text"), "{cards}");
        let mut table = Vec::new();
        let columns = "A 1I - row\nB 3E adu row,half";
        let value = |row: usize, name: &str| row as f64 + if name == "half" { 0.5 } else { 0.0 };
        push_table(&mut table, columns, 2, &value, &HeaderBuilder::new()).unwrap();
        let data = &table[table.len() - 2880..];
        let floats = [1.0_f32, 1.5, 1.5].map(f32::to_be_bytes);
        let second = [&1_i16.to_be_bytes()[..], floats.as_flattened()].concat();
        assert_eq!(data[14..28], second);
    }
}
