//! The record of one link, and what several say together. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// How deep results that are only parts of others may lie in each other.
const MAX_PARTS: usize = 16;

/// What one link was made of, as the linker has told it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    /// The result, as an absolute path without `.` and `..`.
    pub(super) result: String,
    /// The digest of the result's machine code; none where it has none of its own.
    pub(super) code: Option<[u8; 32]>,
    /// The object files, by absolute paths, and members of archives; sorted.
    pub(super) inputs: BTreeSet<Input>,
}

/// One thing that was linked in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Input {
    /// The object file or archive.
    pub(super) file: String,
    /// The member, of an archive.
    pub(super) member: Option<String>,
}

/// All records of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Records {
    records: Vec<Record>,
}

impl Record {
    /// Parses what the linker has written: the working directory, the result, and what was read.
    ///
    /// The linker also names archives of which it takes nothing, and shared libraries; neither is in the result.
    pub(super) fn parse(text: &str, code: Option<[u8; 32]>) -> Option<Self> {
        let mut lines = text.lines();
        let directory = lines.next().filter(|line| line.starts_with('/'))?;
        let result = absolute(directory, lines.next()?);
        let inputs = lines.filter_map(|line| Input::parse(directory, line));
        Some(Self {
            result,
            code,
            inputs: inputs.collect(),
        })
    }
}

impl Input {
    fn parse(directory: &str, line: &str) -> Option<Self> {
        if let Some(inner) = line.strip_prefix('(') {
            let (archive, member) = inner.rsplit_once(')')?;
            let member = (!member.is_empty()).then(|| member.to_owned())?;
            return Some(Self {
                file: absolute(directory, archive),
                member: Some(member),
            });
        }
        let is_object = [".o", ".obj", ".lo"].iter().any(|end| line.ends_with(end));
        is_object.then(|| Self {
            file: absolute(directory, line),
            member: None,
        })
    }
}

impl Records {
    /// No records.
    pub(crate) const NONE: Self = Self {
        records: Vec::new(),
    };

    pub(super) fn new(mut records: Vec<Record>) -> Self {
        records.sort();
        records.dedup();
        Self { records }
    }

    /// Returns what is in the result with this machine code, where results that are only parts of it are replaced by what is in those; `None` if no link made
    /// it. Of several links the one whose result has the name, else the first.
    pub(super) fn find(&self, code: &[u8; 32], name: &str) -> Option<BTreeSet<Input>> {
        let made = |record: &&Record| record.code.as_ref() == Some(code);
        let has_name = |record: &&Record| record.result.rsplit('/').next() == Some(name);
        let found = self.records.iter().filter(made).find(has_name);
        let found = found.or_else(|| self.records.iter().find(made))?;
        let parts: BTreeMap<&str, &Record> = self
            .records
            .iter()
            .map(|record| (record.result.as_str(), record))
            .collect();
        let mut inputs = BTreeSet::new();
        expand(found, &parts, &mut BTreeSet::new(), 0, &mut inputs);
        Some(inputs)
    }
}

fn expand<'a>(
    record: &'a Record,
    parts: &BTreeMap<&str, &'a Record>,
    open: &mut BTreeSet<&'a str>,
    depth: usize,
    inputs: &mut BTreeSet<Input>,
) {
    open.insert(&record.result);
    for input in &record.inputs {
        let part = parts.get(input.file.as_str());
        let part =
            part.filter(|part| input.member.is_none() && !open.contains(part.result.as_str()));
        match part {
            Some(part) if depth < MAX_PARTS => expand(part, parts, open, depth + 1, inputs),
            _ => {
                inputs.insert(input.clone());
            }
        }
    }
    open.remove(record.result.as_str());
}

/// Returns a path as an absolute one, without `.` and `..`.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{directory}/{path}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(file: &str, member: Option<&str>) -> Input {
        Input {
            file: file.to_owned(),
            member: member.map(str::to_owned),
        }
    }

    #[test]
    fn a_record_has_objects_and_the_members_that_were_taken() {
        let text = "/build/source\n../out/tool\n/usr/lib/gcc/x86_64-linux-gnu/12/../../../x86_64-linux-gnu/crt1.o\nmain.o\n/pith/store/x/lib/libz.a\n(/pith/store/x/lib/libz.a)inflate.o\n/usr/lib/libc.so\n(broken\n()\n";
        let record = Record::parse(text, None).unwrap();
        assert_eq!(record.result, "/build/out/tool");
        let inputs: Vec<Input> = record.inputs.into_iter().collect();
        assert_eq!(
            inputs,
            [
                input("/build/source/main.o", None),
                input("/pith/store/x/lib/libz.a", Some("inflate.o")),
                input("/usr/lib/x86_64-linux-gnu/crt1.o", None),
            ]
        );
        assert_eq!(Record::parse("", None), None);
        assert_eq!(Record::parse("relative\nx\n", None), None);
        assert_eq!(Record::parse("/build\n", None), None);
    }

    #[test]
    fn parts_are_replaced_by_what_is_in_them_even_in_a_circle() {
        let record = |result: &str, code: Option<u8>, inputs: &[Input]| Record {
            result: result.to_owned(),
            code: code.map(|byte| [byte; 32]),
            inputs: inputs.iter().cloned().collect(),
        };
        let records = Records::new(vec![
            record("/build/tool", Some(1), &[input("/build/part.o", None)]),
            record(
                "/build/part.o",
                None,
                &[input("/build/part.o", None), input("/x/a.a", Some("a.o"))],
            ),
        ]);
        let found = records.find(&[1; 32], "tool").unwrap();
        let expected = [input("/build/part.o", None), input("/x/a.a", Some("a.o"))];
        assert_eq!(found, expected.into());
        assert_eq!(records.find(&[2; 32], "tool"), None);
    }
}
