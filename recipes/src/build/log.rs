//! The output of a builder: all of it compressed on disk, the last lines in memory, each line to whoever watches.
//!
//! A log is written in the build's own directory and moved to its place when the build has ended, well or not. So a reader
//! only ever sees whole ones, and what a killed build leaves is removed with its directory. A builder enters a phase by a line `@pith phase NAME`; such lines are kept in the file but are not
//! lines of their own for a watcher.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::files::{FileFailure, at};
use store::ResolvedDigest;

/// How many of the last lines an error shows.
pub const TAIL_LINES: usize = 25;
/// Longer lines are cut for watchers and errors; the file has them whole.
const MAX_LINE: usize = 8 << 10;
const ZSTD_LEVEL: i32 = 3;
const PHASE_MARK: &[u8] = b"@pith phase ";

/// What a builder said in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It enters a phase.
    Phase(String),
    /// Anything else, fit for a terminal: valid UTF-8 without control characters.
    Text(String),
}

/// Returns where the log of a resolved derivation lies, whether there is one or not.
pub fn log_path(logs: &Path, resolved: &ResolvedDigest) -> PathBuf {
    let digest = resolved.to_hex();
    let shard = digest.get(..2).unwrap_or_default();
    logs.join(shard).join(format!("{digest}.zst"))
}

/// Opens the log of a resolved derivation; `None` when nothing was logged.
pub fn read_log(logs: &Path, resolved: &ResolvedDigest) -> io::Result<Option<impl Read + use<>>> {
    match File::open(log_path(logs, resolved)) {
        Ok(file) => Ok(Some(zstd::stream::read::Decoder::with_buffer(
            BufReader::new(file),
        )?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A log that is being written.
pub(super) struct LogWriter {
    encoder: zstd::stream::write::Encoder<'static, File>,
    unfinished: PathBuf,
    path: PathBuf,
    line: Vec<u8>,
    tail: VecDeque<String>,
    phase: Option<String>,
}

impl LogWriter {
    /// Starts a log. Until it is finished it lies in `directory`, which must be on the file system of `logs`.
    pub(super) fn create(
        logs: &Path,
        resolved: &ResolvedDigest,
        directory: &Path,
    ) -> Result<Self, FileFailure> {
        let unfinished = directory.join("log.zst");
        let encoder = File::create(&unfinished)
            .and_then(|file| zstd::stream::write::Encoder::new(file, ZSTD_LEVEL))
            .map_err(at(&unfinished))?;
        Ok(Self {
            encoder,
            unfinished,
            path: log_path(logs, resolved),
            line: Vec::new(),
            tail: VecDeque::new(),
            phase: None,
        })
    }

    /// Takes output as it comes and hands out every line that is complete.
    pub(super) fn write(
        &mut self,
        mut bytes: &[u8],
        watch: &mut dyn FnMut(Line),
    ) -> Result<(), FileFailure> {
        self.encoder
            .write_all(bytes)
            .map_err(at(&self.unfinished))?;
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (head, rest) = bytes.split_at(end);
            self.extend_line(head);
            self.end_line(watch);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.extend_line(bytes);
        Ok(())
    }

    /// Ends the log and moves it to its place.
    pub(super) fn finish(
        mut self,
        watch: &mut dyn FnMut(Line),
    ) -> Result<FinishedLog, FileFailure> {
        if !self.line.is_empty() {
            self.end_line(watch);
        }
        let failed = at(&self.unfinished);
        self.encoder.finish().map_err(failed)?;
        if let Some(shard) = self.path.parent() {
            fs::create_dir_all(shard).map_err(at(shard))?;
        }
        fs::rename(&self.unfinished, &self.path).map_err(at(&self.path))?;
        Ok(FinishedLog {
            path: self.path,
            tail: self.tail.into(),
            phase: self.phase,
        })
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.line
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    fn end_line(&mut self, watch: &mut dyn FnMut(Line)) {
        let line = std::mem::take(&mut self.line);
        if let Some(phase) = line.strip_prefix(PHASE_MARK) {
            let phase = printable(phase);
            self.phase = Some(phase.clone());
            watch(Line::Phase(phase));
            return;
        }
        let text = printable(&line);
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(text.clone());
        watch(Line::Text(text));
    }
}

/// What remains of a log for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FinishedLog {
    pub(super) path: PathBuf,
    pub(super) tail: Vec<String>,
    pub(super) phase: Option<String>,
}

/// Makes a line fit for a terminal: what a carriage return overwrote, escape sequences and control characters go.
pub(super) fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\r');
    let text = text.rsplit('\r').next().unwrap_or_default();
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            skip_escape(&mut characters);
        } else if character == '\t' || !character.is_control() {
            shown.push(character);
        }
    }
    shown
}

/// Skips what follows an escape character: a control sequence, a string up to its end, or one character (ECMA-48).
fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.next() {
        Some('[') => {
            characters.by_ref().find(|c| ('@'..='~').contains(c));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = characters.next() {
                if character == '\u{7}'
                    || (character == '\u{1b}' && characters.next_if_eq(&'\\').is_some())
                {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved() -> ResolvedDigest {
        ResolvedDigest::from_bytes([0xab; 32])
    }

    #[test]
    fn the_whole_output_is_kept_and_its_end_is_at_hand() {
        let logs = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(logs.path(), &resolved(), logs.path()).unwrap();
        let mut lines = Vec::new();
        let mut watch = |line| lines.push(line);
        log.write(b"one\n@pith phase check\ntw", &mut watch)
            .unwrap();
        for number in 0..30 {
            log.write(format!("o {number}\n").as_bytes(), &mut watch)
                .unwrap();
        }
        log.write(b"no newline", &mut watch).unwrap();
        assert!(
            read_log(logs.path(), &resolved()).unwrap().is_none(),
            "an unfinished log is not there"
        );
        let finished = log.finish(&mut watch).unwrap();
        assert_eq!(finished.phase.as_deref(), Some("check"));
        assert_eq!(
            (
                finished.tail.len(),
                finished.tail.last().map(String::as_str)
            ),
            (TAIL_LINES, Some("no newline"))
        );
        assert_eq!(
            lines[..3],
            [
                Line::Text("one".into()),
                Line::Phase("check".into()),
                Line::Text("two 0".into())
            ]
        );
        let mut text = String::new();
        read_log(logs.path(), &resolved())
            .unwrap()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert!(
            text.starts_with("one\n@pith phase check\ntwo 0\no 1\n")
                && text.ends_with("no newline")
        );
        assert_eq!(
            fs::read_dir(finished.path.parent().unwrap())
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn a_line_cannot_command_the_terminal() {
        for (line, shown) in [
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;x\x1b\\link", "link"),
            ("10%\r20%\r30%\r", "30%"),
            ("bell\x07 tab\t", "bell tab\t"),
            ("\x1b", ""),
        ] {
            assert_eq!(printable(line.as_bytes()), shown, "{line:?}");
        }
        assert_eq!(printable(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn an_endless_line_is_cut_for_watchers() {
        let logs = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(logs.path(), &resolved(), logs.path()).unwrap();
        for _ in 0..100 {
            log.write(&[b'x'; 1000], &mut |_| ()).unwrap();
        }
        assert_eq!(
            log.finish(&mut |_| ()).unwrap().tail,
            ["x".repeat(MAX_LINE)]
        );
    }
}
