//! Reading lake files by ranges, counting every byte.
//!
//! Nothing is read ahead: the counter states exactly the bytes requested from the file system.

use super::LakeError;
use bytes::Bytes;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::index_reader::{decode_column_index, decode_offset_index};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counter of the reads from lake files, for `--stats` and for tests.
#[derive(Debug, Default)]
pub struct ByteCounter {
    bytes: AtomicU64,
    reads: AtomicU64,
    files: AtomicU64,
}

impl ByteCounter {
    /// Returns the bytes read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the read requests made.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Returns the files opened.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed);
    }
}

/// One file, read at positions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LakeReader {
    file: Arc<File>,
    bytes: u64,
    counter: Arc<ByteCounter>,
}

impl LakeReader {
    /// Opens a regular file, following no link.
    ///
    /// # Errors
    /// [`LakeError::Io`] when it is absent, not regular, or not permitted.
    pub fn open(path: &Path, counter: &Arc<ByteCounter>) -> Result<Self, LakeError> {
        let fault = LakeError::io(path);
        let file = files::open_regular(path).map_err(|source| fault(io::Error::other(source)))?;
        Self::of(file, path, counter)
    }

    fn of(file: File, path: &Path, counter: &Arc<ByteCounter>) -> Result<Self, LakeError> {
        let fault = LakeError::io(path);
        let bytes = file.metadata().map_err(&fault)?.len();
        counter.files.fetch_add(1, Ordering::Relaxed);
        Ok(Self { file: Arc::new(file), bytes, counter: Arc::clone(counter) })
    }
}

impl Length for LakeReader {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for LakeReader {
    type T = BufReader<Positioned>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::with_capacity(1 << 18, Positioned { reader: self.clone(), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        self.counter.count(length);
        Ok(buffer.into())
    }
}

/// A sequential reader that starts at a position in the file.
#[derive(Debug)]
pub struct Positioned {
    reader: LakeReader,
    offset: u64,
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.file.read_at(buffer, self.offset)?;
        self.reader.counter.count(n);
        self.offset += n as u64;
        Ok(n)
    }
}

/// A Parquet file with its parsed footer. Page indexes are read per column, when they are needed.
#[derive(Debug)]
pub struct OpenFile {
    path: PathBuf,
    reader: Arc<LakeReader>,
    metadata: ParquetMetaData,
    footer_bytes: u64,
}

impl OpenFile {
    /// Opens a file and parses its footer. `footer_bytes`, when known from the catalogue (without the 8 bytes of the
    /// tail), saves one read; a wrong value is noticed and corrected.
    ///
    /// # Errors
    /// [`LakeError::Io`] or [`LakeError::Parquet`], naming the file.
    pub fn open(
        path: &Path,
        footer_bytes: Option<u64>,
        counter: &Arc<ByteCounter>,
    ) -> Result<Self, LakeError> {
        Self::read(LakeReader::open(path, counter)?, path, footer_bytes)
    }

    /// Opens a file of any name as [`OpenFile::open`] does; `path` is its name in messages.
    pub(crate) fn of(
        file: File,
        path: &Path,
        counter: &Arc<ByteCounter>,
    ) -> Result<Self, LakeError> {
        Self::read(LakeReader::of(file, path, counter)?, path, None)
    }

    fn read(reader: LakeReader, path: &Path, footer_bytes: Option<u64>) -> Result<Self, LakeError> {
        let fault = LakeError::parquet(path);
        let (metadata, footer_bytes) = read_footer(&reader, footer_bytes).map_err(fault)?;
        Ok(Self { path: path.to_owned(), reader: Arc::new(reader), metadata, footer_bytes })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the length of the file.
    pub fn bytes(&self) -> u64 {
        self.reader.bytes
    }

    /// Returns the length of the footer without the 8 bytes of the tail, as DuckLake counts it.
    pub fn footer_bytes(&self) -> u64 {
        self.footer_bytes
    }

    /// Returns the parsed footer.
    pub fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    /// Returns the open file itself, for reading all of it in order.
    ///
    /// # Errors
    /// [`LakeError::Io`] when the system has no handle left.
    pub fn whole(&self) -> Result<File, LakeError> {
        self.reader.file.try_clone().map_err(LakeError::io(&self.path))
    }

    /// Returns the reader of ranges of the file.
    pub fn reader(&self) -> &Arc<LakeReader> {
        &self.reader
    }

    /// Returns the rows of the whole file.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.file_metadata().num_rows()).unwrap_or(0)
    }

    /// Returns the position of a column, by name (lake files are flat).
    pub fn column(&self, name: &str) -> Option<usize> {
        let schema = self.metadata.file_metadata().schema_descr();
        schema.columns().iter().position(|c| c.name() == name)
    }

    /// Returns the locations of the pages of one column chunk; `None` when the file has no offset index.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] for a damaged index.
    pub fn page_locations(
        &self,
        row_group: usize,
        column: usize,
    ) -> Result<Option<Vec<PageLocation>>, LakeError> {
        let chunk = self.metadata.row_group(row_group).column(column);
        let Some((start, length)) =
            index_range(chunk.offset_index_offset(), chunk.offset_index_length())
        else {
            return Ok(None);
        };
        let fault = LakeError::parquet(&self.path);
        let bytes = self.reader.get_bytes(start, length).map_err(&fault)?;
        let index = decode_offset_index(&bytes).map_err(&fault)?;
        Ok(Some(index.page_locations().clone()))
    }

    /// Returns the least and greatest value per page of one column chunk; `None` when the file has none for it.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] for a damaged index.
    pub fn page_bounds(
        &self,
        row_group: usize,
        column: usize,
    ) -> Result<Option<ColumnIndexMetaData>, LakeError> {
        let chunk: &ColumnChunkMetaData = self.metadata.row_group(row_group).column(column);
        let Some((start, length)) =
            index_range(chunk.column_index_offset(), chunk.column_index_length())
        else {
            return Ok(None);
        };
        let fault = LakeError::parquet(&self.path);
        let bytes = self.reader.get_bytes(start, length).map_err(&fault)?;
        decode_column_index(&bytes, chunk.column_type()).map(Some).map_err(fault)
    }
}

fn index_range(offset: Option<i64>, length: Option<i32>) -> Option<(u64, usize)> {
    let (start, length) = (u64::try_from(offset?).ok()?, usize::try_from(length?).ok()?);
    (length > 0).then_some((start, length))
}

const TAIL_BYTES: u64 = 8;
const GUESSED_FOOTER_BYTES: u64 = 16 << 10;

/// Reads the footer = thrift metadata, its length (4 bytes, little-endian), `PAR1`.
fn read_footer(reader: &LakeReader, hint: Option<u64>) -> ParquetResult<(ParquetMetaData, u64)> {
    let bytes = reader.bytes;
    let wanted = (hint.unwrap_or(GUESSED_FOOTER_BYTES) + TAIL_BYTES).min(bytes);
    let mut tail = reader.get_bytes(bytes - wanted, wanted as usize)?;
    let at = tail.len().checked_sub(TAIL_BYTES as usize).ok_or_else(not_parquet)?;
    if &tail[at + 4..] != b"PAR1" {
        return Err(not_parquet());
    }
    let length =
        u64::from(u32::from_le_bytes([tail[at], tail[at + 1], tail[at + 2], tail[at + 3]]));
    if length + TAIL_BYTES > bytes {
        return Err(not_parquet());
    }
    if length as usize > at {
        let start = bytes - TAIL_BYTES - length;
        tail = reader.get_bytes(start, length as usize)?;
    } else {
        tail = tail.slice(at - length as usize..at);
    }
    Ok((ParquetMetaDataReader::decode_metadata(&tail)?, length))
}

fn not_parquet() -> parquet::errors::ParquetError {
    parquet::errors::ParquetError::General("the file does not end like a Parquet file".to_owned())
}
