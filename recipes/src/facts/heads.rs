//! What the head of a source file says: tags, statements of copyright, and the comment with the license. Pure.

use super::words::{is_copyright, words};

/// By which a file names its license (SPDX 2.3, annex E).
const TAG: &str = "SPDX-License-Identifier:";
/// Words of which a comment about a license has one.
const LICENSE_WORDS: &[&str] = &[
    "license",
    "licence",
    "licensed",
    "licenses",
    "redistribute",
    "redistribution",
    "redistributed",
    "permission",
    "warranty",
    "disclaims",
    "distributable",
];
/// Pairs of words that say the same.
const LICENSE_PAIRS: &[[&str; 2]] = &[
    ["public", "domain"],
    ["free", "software"],
    ["copyright", "notice"],
];
/// What lines of comments begin with, longer ones first.
const LINE_MARKS: &[&str] = &[
    "///", "//", ".\\\"", "'\\\"", "--", "dnl", "rem", ";", "#", "%", "\"", "!",
];
/// What the preprocessor of C reads is no comment.
const DIRECTIVES: &[&str] = &[
    "#include", "#define", "#if", "#endif", "#else", "#elif", "#undef", "#pragma", "#error", "#!",
];
/// How many marks make a ruler; ends of comments have three.
const RULER_MARKS: usize = 8;
/// The longest statement of copyright that is kept; longer ones are prose.
const MAX_STATEMENT: usize = 300;

/// Tells whether a text may be about a license.
pub(super) fn is_about_license(text: &str) -> bool {
    let words = words(text);
    let single = words
        .iter()
        .any(|word| LICENSE_WORDS.contains(&word.as_str()));
    let pairs = || {
        words
            .windows(2)
            .any(|pair| LICENSE_PAIRS.iter().any(|known| pair == known))
    };
    single || pairs()
}

/// Returns the expressions that the tags of a head name, as they are written.
pub(super) fn tags(head: &str) -> Vec<String> {
    let found = head.lines().filter_map(|line| line.split_once(TAG));
    found
        .map(|(_, rest)| {
            let end = ["*/", "-->", "\\n", "\"", "*)"]
                .iter()
                .filter_map(|mark| rest.find(mark))
                .min();
            let text = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .filter(|text| !text.is_empty())
        .collect()
}

/// Returns the statements of copyright in a text, each as one line with single spaces and without what comments are made of.
pub(super) fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| is_copyright(line));
    lines
        .map(|line| {
            let is_mark = |c: char| c.is_whitespace() || "/*#;%\"'!.\\-=|<>{}$".contains(c);
            // An address may end in `>`.
            let is_end = |c: char| is_mark(c) && c != '>';
            let line = line.trim_end();
            let plain = line.strip_suffix("-->").unwrap_or(line);
            let plain = plain.trim_start_matches(is_mark).trim_end_matches(is_end);
            let plain = plain.trim_start_matches("dnl ");
            plain.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .filter(|line| !line.is_empty() && line.len() <= MAX_STATEMENT && !is_template(line))
        .collect()
}

/// Whether a statement is one to be filled in.
fn is_template(line: &str) -> bool {
    [
        "<year>",
        "[yyyy]",
        "yyyy",
        "<name of author>",
        "{yyyy}",
        "[year]",
    ]
    .iter()
    .any(|blank| line.contains(blank))
}

/// Returns the part of the first comment about a license that is about it: without statements of copyright, and without what describes the file before them.
pub(super) fn notice(head: &str) -> Option<String> {
    let blocks = comments(head);
    let is_about = |block: &Comment<'_>| is_about_license(&block.lines.join("\n"));
    let first = blocks.iter().position(is_about)?;
    let mut block: Vec<&str> = Vec::new();
    // An exception may stand in a comment of its own behind that with the license.
    for (place, next) in blocks.iter().enumerate().skip(first) {
        if place > first && (next.is_behind_code || !is_about(next)) {
            break;
        }
        block.extend(&next.lines);
    }
    let about = |line: &&str| is_about_license(line);
    let last_before = |lines: &[&str]| {
        let first_about = lines
            .iter()
            .position(|line| about(line) && !is_copyright(line));
        let end = first_about.unwrap_or(lines.len());
        let before = lines.get(..end).unwrap_or_default();
        before.iter().rposition(|line| is_copyright(line))
    };
    let start = last_before(&block).map_or(0, |place| place + 1);
    let rest = block.get(start..).unwrap_or_default();
    // Of what has no statement of copyright, the paragraph in which it begins to be about a license.
    let first = rest.iter().position(&about).unwrap_or(0);
    let is_blank = |line: &&str| words(line).is_empty();
    let paragraph = rest.get(..first).unwrap_or_default();
    let begin = match start {
        0 => paragraph
            .iter()
            .rposition(is_blank)
            .map_or(0, |place| place + 1),
        _ => 0,
    };
    let kept: Vec<&str> = rest
        .get(begin..)
        .unwrap_or_default()
        .iter()
        .filter(|line| !is_copyright(line))
        .copied()
        .collect();
    // What stands below a ruler is about the file.
    let about_at = kept.iter().position(&about).unwrap_or(0);
    let ruler = kept.iter().skip(about_at).position(|line| is_ruler(line));
    let end = ruler.map_or(kept.len(), |place| about_at + place);
    let kept = kept.get(..end).unwrap_or_default();
    let text = kept.join("\n");
    let text = text.trim_matches('\n');
    is_about_license(text).then(|| format!("{text}\n"))
}

/// Whether a line is drawn: many marks and no word.
fn is_ruler(line: &str) -> bool {
    let marks = line.chars().filter(|c| !c.is_whitespace()).count();
    marks >= RULER_MARKS && words(line).is_empty()
}

/// A comment.
#[derive(Debug, Default)]
struct Comment<'a> {
    lines: Vec<&'a str>,
    /// Whether something else than space stands between it and the comment before it.
    is_behind_code: bool,
}

/// Returns the comments of a head.
fn comments(head: &str) -> Vec<Comment<'_>> {
    let mut blocks: Vec<Comment<'_>> = Vec::new();
    let mut block = Comment::default();
    let mut inside: Option<&str> = None;
    for line in head.lines() {
        let text = line.trim_start();
        if let Some(end) = inside {
            block.lines.push(line);
            if text.contains(end) {
                inside = None;
            }
            continue;
        }
        let opened = [("/*", "*/"), ("<!--", "-->"), ("(*", "*)"), ("{-", "-}")]
            .iter()
            .find(|(start, _)| text.starts_with(start));
        if let Some((start, end)) = opened {
            blocks.push(std::mem::take(&mut block));
            block.lines.push(line);
            let rest = text.get(start.len()..).unwrap_or_default();
            inside = (!rest.contains(end)).then_some(*end);
            continue;
        }
        let lower = text.get(..16).unwrap_or(text).to_ascii_lowercase();
        let compact = lower.replace("# ", "#");
        let is_directive = DIRECTIVES.iter().any(|word| compact.starts_with(word));
        if !is_directive && LINE_MARKS.iter().any(|mark| lower.starts_with(mark)) {
            block.lines.push(line);
            continue;
        }
        blocks.push(std::mem::take(&mut block));
        block.is_behind_code = !text.is_empty();
    }
    blocks.push(block);
    // A line of code ends a comment, and what it begins may be empty.
    let mut is_behind_code = false;
    blocks.retain_mut(|block| {
        is_behind_code |= block.is_behind_code;
        if block.lines.is_empty() {
            return false;
        }
        block.is_behind_code = is_behind_code;
        is_behind_code = false;
        true
    });
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_of_a_comment_is_without_copyright_and_description() {
        let head = "/* adler32.c -- compute a checksum\n * Copyright (C) 1995-2011, 2016 Mark Adler\n * For conditions of distribution and use, see copyright notice in zlib.h\n */\n\n#include \"x.h\"\n";
        assert_eq!(
            notice(head).as_deref(),
            Some(
                " * For conditions of distribution and use, see copyright notice in zlib.h\n */\n"
            )
        );
        assert_eq!(
            statements(head),
            ["Copyright (C) 1995-2011, 2016 Mark Adler"]
        );
        let script = "#!/bin/sh\n# A tool.\n#\n# This is free software.\n\necho\n# a license\n";
        assert_eq!(
            notice(script).as_deref(),
            Some("# This is free software.\n")
        );
        assert_eq!(notice("#include <license.h>\nint x;\n"), None);
        assert_eq!(notice("int main(void) { return license; }\n"), None);
    }

    #[test]
    fn what_stands_below_a_ruler_does_not_belong_to_the_notice() {
        let head = "/*\n** 2001 September 15\n**\n** The author disclaims copyright.\n** May you do good.\n**\n**********\n** This file is about cats.\n*/\n";
        let expected = "** The author disclaims copyright.\n** May you do good.\n**\n";
        assert_eq!(notice(head).as_deref(), Some(expected));
    }

    #[test]
    fn an_exception_in_the_next_comment_belongs_to_the_notice() {
        let head = "/* This is free software. */\n\n/* As an exception, redistribute it. */\n\n/* Written by A. */\n";
        let expected = "/* This is free software. */\n/* As an exception, redistribute it. */\n";
        assert_eq!(notice(head).as_deref(), Some(expected));
        let head = "/* This is free software. */\nint x;\n/* Permission of files. */\n";
        assert_eq!(
            notice(head).as_deref(),
            Some("/* This is free software. */\n")
        );
    }

    #[test]
    fn tags_end_where_their_comment_does() {
        let head = "/* SPDX-License-Identifier: (GPL-2.0 OR  MIT) */\n// SPDX-License-Identifier: Apache-2.0\n";
        assert_eq!(tags(head), ["(GPL-2.0 OR MIT)", "Apache-2.0"]);
        assert_eq!(tags("SPDX-License-Identifier:\n"), Vec::<String>::new());
    }

    #[test]
    fn a_statement_keeps_its_address_and_loses_its_comment() {
        for (line, expected) in [
            ("# Copyright 2012 A <a@b.org>", "Copyright 2012 A <a@b.org>"),
            ("<!-- Copyright (c) 2012 A. -->", "Copyright (c) 2012 A"),
            ("dnl  Copyright (C) 2012  A", "Copyright (C) 2012 A"),
            (" * Copyright (c) 2012 A */", "Copyright (c) 2012 A"),
        ] {
            assert_eq!(statements(line), [expected], "{line}");
        }
    }

    #[test]
    fn a_comment_without_end_is_no_trouble() {
        let endless = format!("/* license {}", "\n*".repeat(10_000));
        assert!(notice(&endless).is_some());
        assert_eq!(
            statements("Copyright (C) <year> <name of author>"),
            Vec::<String>::new()
        );
    }
}
