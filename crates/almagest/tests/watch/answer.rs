//! What one snapshot shows of a night, and what must hold in it.

use archive::Site;
use query::{ResultColumn, RowSink, SqlLimits, SqlReader, SqlValue};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// The whole answer in one statement: of each image, by delivery and file name, what is current and what once was.
const QUERY: &str = "
    WITH named AS (
        SELECT image.multiframe_id, delivery.name AS delivery, file.name AS file
        FROM image JOIN file ON file.file_id = image.file_id JOIN delivery ON delivery.delivery_id = file.delivery_id)
    SELECT 'event' AS kind, '' AS delivery, act AS file, event_id AS a, CAST(0 AS BIGINT) AS b, CAST(0 AS BIGINT) AS c,
        CAST(0 AS BIGINT) AS ext_num FROM event
    UNION ALL
    SELECT 'frame', named.delivery, named.file, multiframe.multiframe_id, 0, 0, 0
    FROM multiframe JOIN named ON named.multiframe_id = multiframe.multiframe_id
    UNION ALL
    SELECT 'detections', named.delivery, named.file, current.multiframe_id, current.n, current.joined, current.ext_num
    FROM (SELECT detection.multiframe_id, detection.ext_num, count(*) AS n, count(multiframe.multiframe_id) AS joined
          FROM detection LEFT JOIN multiframe ON multiframe.multiframe_id = detection.multiframe_id
          GROUP BY detection.multiframe_id, detection.ext_num) AS current
        JOIN named ON named.multiframe_id = current.multiframe_id
    UNION ALL
    SELECT 'previews', named.delivery, named.file, current.multiframe_id, current.n, current.joined, 0
    FROM (SELECT preview.multiframe_id, count(*) AS n, count(multiframe.multiframe_id) AS joined
          FROM preview LEFT JOIN multiframe ON multiframe.multiframe_id = preview.multiframe_id
          GROUP BY preview.multiframe_id) AS current JOIN named ON named.multiframe_id = current.multiframe_id
    UNION ALL
    SELECT 'written', named.delivery, named.file, written.multiframe_id, written.rows_written, 0, written.ext_num
    FROM hdu_rows AS written JOIN named ON named.multiframe_id = written.multiframe_id
    WHERE written.rows_written > 0 AND written.unit_id = (
        SELECT max(newest.unit_id) FROM hdu_rows AS newest
        WHERE newest.multiframe_id = written.multiframe_id AND newest.ext_num = written.ext_num AND newest.rows_written > 0)
    UNION ALL
    SELECT held.state, named.delivery, named.file, held.multiframe_id,
        product.kept + CASE WHEN held.uncovered_event IS NULL THEN 0 ELSE 2 END,
        CASE WHEN held.supersession_event IS NULL THEN 0 ELSE 1 END
        + (SELECT count(*) FROM supersession WHERE supersession.multiframe_id = product.multiframe_id
               AND supersession.use_case = product.use_case AND undone_event IS NULL), held.ext_num
    FROM product_detector AS held JOIN named ON named.multiframe_id = held.multiframe_id
        JOIN product ON product.multiframe_id = held.multiframe_id AND product.use_case = 'catalogue'";

/// The content of DuckLake's own tables about `detection` in the same snapshot: rows of its files without those of delete files.
const LAKE: &str = "
    UNION ALL
    SELECT 'lake', '', '',
        (SELECT coalesce(sum(record_count), 0) FROM ducklake_data_file AS f
         WHERE f.table_id = t.table_id AND f.end_snapshot IS NULL)
        - (SELECT coalesce(sum(delete_count), 0) FROM ducklake_delete_file AS f
           WHERE f.table_id = t.table_id AND f.end_snapshot IS NULL), 0, 0, 0
    FROM ducklake_table AS t WHERE t.table_name = 'detection'";

/// An image: its delivery and its multiframe.
type Image = (String, i64);

/// A detector of a file name, by its extension number; 0 means the whole image.
pub type Detector = (String, i64);

/// Rows of a product of each detector, by the image that they are of: all, and those that have a current multiframe.
pub type Products = BTreeMap<Detector, BTreeMap<Image, (i64, i64)>>;

/// The recorded facts about the detections of a detector of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Product {
    state: String,
    is_kept: bool,
    /// A newer catalogue of the image has none.
    is_uncovered: bool,
    /// A decision to end them is in force.
    is_superseded: bool,
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Acts of the events.
    pub events: BTreeMap<i64, String>,
    /// Current multiframes of each file name.
    pub frames: BTreeMap<String, BTreeSet<Image>>,
    pub detections: Products,
    pub previews: Products,
    /// Rows that the newest catalogue HDU with rows of a detector of an image has in the archive.
    written: BTreeMap<(i64, i64), i64>,
    /// What is recorded of the detections of each detector of each image.
    products: BTreeMap<Detector, BTreeMap<Image, Product>>,
    /// Current detections as DuckLake counts them.
    lake: Option<i64>,
}

impl Answer {
    fn add(&mut self, row: Row) {
        let Row { kind, delivery, file, numbers: [a, b, c, ext_num] } = row;
        let (image, detector) = ((delivery, a), (file.clone(), ext_num));
        match kind.as_str() {
            "event" => drop(self.events.insert(a, file)),
            "frame" => drop(self.frames.entry(file).or_default().insert(image)),
            "detections" | "previews" => {
                let products = match kind.as_str() {
                    "previews" => &mut self.previews,
                    _ => &mut self.detections,
                };
                products.entry(detector).or_default().insert(image, (b, c));
            }
            "written" => drop(self.written.insert((a, ext_num), b)),
            "lake" => self.lake = Some(a),
            _ => {
                let (is_kept, is_uncovered) = (b & 1 == 1, b & 2 == 2);
                let product = Product { state: kind, is_kept, is_uncovered, is_superseded: c > 0 };
                self.products.entry(detector).or_default().insert(image, product);
            }
        }
    }

    /// Compares what changes with events alone.
    pub fn shows_the_same(&self, other: &Self) -> bool {
        self.frames == other.frames
            && self.detections == other.detections
            && self.previews == other.previews
            && self.products == other.products
    }

    /// Returns the delivery whose detections each detector shows.
    pub fn shown(&self) -> BTreeMap<Detector, String> {
        let first = |of: &BTreeMap<Image, (i64, i64)>| {
            of.keys().next().map(|(delivery, _)| delivery.clone()).unwrap_or_default()
        };
        self.detections.iter().map(|(detector, of)| (detector.clone(), first(of))).collect()
    }

    /// Returns the products that show despite a current multiframe of a later version.
    pub fn kept(&self, products: &Products) -> BTreeSet<(String, i64)> {
        let mut kept = BTreeSet::new();
        for ((file, _), images) in products {
            for (delivery, multiframe) in images.keys() {
                let is_later = |(other, _): &Image| other > delivery;
                if self.frames.get(file).is_some_and(|frames| frames.iter().any(is_later)) {
                    kept.insert((file.clone(), *multiframe));
                }
            }
        }
        kept
    }

    fn recorded_as_kept(&self) -> BTreeSet<(String, i64)> {
        let mut kept = BTreeSet::new();
        for ((file, _), products) in &self.products {
            let images = products.iter().filter(|(_, p)| p.is_kept && p.state == "current");
            kept.extend(images.map(|((_, multiframe), _)| (file.clone(), *multiframe)));
        }
        kept
    }

    /// Returns the images some of whose detections show although a newer catalogue of the image has none of their detectors.
    pub fn uncovered(&self) -> BTreeSet<(String, i64)> {
        let mut uncovered = BTreeSet::new();
        for ((file, _), products) in &self.products {
            let images = products.iter().filter(|(_, p)| p.is_uncovered && p.state == "current");
            uncovered.extend(images.map(|((_, multiframe), _)| (file.clone(), *multiframe)));
        }
        uncovered
    }

    /// Lists everything that must not be in an answer.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (what, products) in [("detections", &self.detections), ("previews", &self.previews)] {
            for ((file, ext_num), images) in products {
                let file = format!("{file} ext_num {ext_num}");
                if images.len() != 1 {
                    faults.push(format!("{file} shows {what} of {images:?}"));
                }
                for (image, (rows, joined)) in images {
                    if rows != joined {
                        faults.push(format!("{file}: {joined} of {rows} {what} join {image:?}"));
                    }
                }
            }
        }
        let mut in_all = 0;
        for ((file, ext_num), images) in &self.detections {
            for ((_, multiframe), (rows, _)) in images {
                in_all += rows;
                let written = self.written.get(&(*multiframe, *ext_num));
                if written != Some(rows) {
                    faults.push(format!("{file} shows {rows} detections of {written:?}"));
                }
            }
        }
        for (detector, products) in &self.products {
            let file = format!("{} ext_num {}", detector.0, detector.1);
            for (image, product) in products {
                let shown = self.detections.get(detector);
                let is_shown = shown.is_some_and(|images| images.contains_key(image));
                if is_shown != (product.state == "current") {
                    faults.push(format!("{file}: the detections of {image:?} are {product:?}"));
                }
                // Without detections of any version a decision about this or a newer one says why.
                let mut newer = products.range(image..).map(|(_, product)| product);
                let is_decided = newer.any(|product| product.is_superseded);
                if shown.is_none() && product.state == "superseded" && !is_decided {
                    faults.push(format!("{file} shows nothing, and {image:?} is {product:?}"));
                }
            }
        }
        if self.recorded_as_kept() != self.kept(&self.detections) {
            faults.push(format!("{:?} are recorded as kept", self.recorded_as_kept()));
        }
        if self.lake.is_some_and(|lake| lake != in_all) {
            faults.push(format!("DuckLake has {:?} detections of {in_all}", self.lake));
        }
        let place = |fault| format!("after event {:?}: {fault}", self.events.last_key_value());
        faults.into_iter().map(place).collect()
    }
}

/// One row of the answer.
#[derive(Default)]
struct Row {
    kind: String,
    delivery: String,
    file: String,
    numbers: [i64; 4],
}

impl RowSink for Answer {
    fn columns(&mut self, _: &[ResultColumn]) -> io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> io::Result<()> {
        let text = |at: usize| values[at].as_str().map(str::to_owned).map_err(io::Error::other);
        let number = |at: usize| values[at].as_i64().map_err(io::Error::other);
        self.add(Row {
            kind: text(0)?,
            delivery: text(1)?,
            file: text(2)?,
            numbers: [number(3)?, number(4)?, number(5)?, number(6)?],
        });
        Ok(())
    }
}

/// A connection that queries.
pub struct Query {
    reader: SqlReader,
    sql: String,
}

impl Query {
    pub fn open(site: &Site) -> Self {
        let limits = SqlLimits { memory_bytes: None, ..SqlLimits::DEFAULT };
        let reader = SqlReader::open(site, limits).expect("the archive can be queried");
        let lake = if site.is_embedded() { LAKE } else { "" };
        Self { reader, sql: format!("{QUERY}{lake}") }
    }

    /// Queries everything in one statement.
    pub fn answer(&self) -> Result<Answer, String> {
        let mut answer = Answer::default();
        let asked = self.reader.query(&self.sql, &mut answer);
        asked.map(|_| answer).map_err(|fault| format!("{fault:?}"))
    }
}

/// Makes an answer about one file name of which the second version has been published without detections.
fn kept() -> Answer {
    let mut answer = Answer::default();
    let rows = [
        ("event", "", "ingest", [1, 0, 0, 0]),
        ("frame", "n_v1", "a.fit", [1, 0, 0, 0]),
        ("frame", "n_v2", "a.fit", [2, 0, 0, 0]),
        ("detections", "n_v1", "a.fit", [1, 20, 20, 2]),
        ("written", "n_v1", "a.fit", [1, 20, 0, 2]),
        ("current", "n_v1", "a.fit", [1, 1, 0, 2]),
    ];
    for (kind, delivery, file, numbers) in rows {
        answer.change(kind, delivery, file, numbers);
    }
    answer
}

impl Answer {
    fn change(&mut self, kind: &str, delivery: &str, file: &str, numbers: [i64; 4]) {
        let (kind, delivery, file) = (kind.to_owned(), delivery.to_owned(), file.to_owned());
        self.add(Row { kind, delivery, file, numbers });
    }
}

#[test]
fn wrong_answers_are_noticed() {
    assert_eq!(kept().faults(), Vec::<String>::new());
    let noticed = |wrong: Answer, text: &str| {
        let faults = wrong.faults();
        assert!(faults.iter().any(|fault| fault.contains(text)), "{text}: {faults:?}");
    };
    let changed = |kind: &str, delivery: &str, numbers: [i64; 4]| {
        let mut answer = kept();
        answer.change(kind, delivery, "a.fit", numbers);
        answer
    };
    noticed(changed("detections", "n_v2", [2, 20, 20, 2]), "shows detections of");
    noticed(changed("detections", "n_v1", [1, 19, 19, 2]), "shows 19 detections of Some(20)");
    noticed(changed("detections", "n_v1", [1, 20, 19, 2]), "19 of 20 detections join");
    noticed(changed("previews", "n_v1", [1, 5, 0, 0]), "0 of 5 previews join");
    noticed(changed("current", "n_v1", [1, 0, 0, 2]), "are recorded as kept");
    noticed(changed("superseded", "n_v1", [1, 0, 0, 2]), "the detections of");
    noticed(changed("current", "n_v1", [1, 1, 0, 3]), "ext_num 3: the detections of");
    noticed(changed("superseded", "n_v1", [1, 0, 0, 3]), "ext_num 3 shows nothing");
    noticed(changed("lake", "", [19, 0, 0, 0]), "DuckLake has Some(19) detections of 20");
    let without = |state: &str, decisions: i64| {
        let mut answer = changed(state, "n_v1", [1, 0, decisions, 2]);
        answer.detections.clear();
        answer
    };
    noticed(without("superseded", 0), "shows nothing");
    for explained in [without("superseded", 1), without("retracted", 0)] {
        assert_eq!(explained.faults(), Vec::<String>::new());
    }
    let mut other = kept();
    other.change("frame", "n_v3", "a.fit", [3, 0, 0, 0]);
    assert!(!other.shows_the_same(&kept()) && kept().shows_the_same(&kept()));
}
