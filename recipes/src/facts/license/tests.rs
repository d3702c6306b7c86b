//! What known texts and headers are found as.

use store::facts::{Class, Matcher};

use super::{Match, find_licenses, is_expression, similar_license};

const MIT: &str = "The Widget Project License\n\nCopyright (c) 2009-2021 Somebody <a@example.org>\nAll rights reserved.\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\nof this software and associated documentation files (the \"Software\"), to deal\nin the Software without restriction, including without limitation the rights\nto use, copy, modify, merge, publish, distribute, sublicense, and/or sell\ncopies of the Software, and to permit persons to whom the Software is\nfurnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice shall be included in all\ncopies or substantial portions of the Software.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR\nIMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,\nFITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE\nAUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER\nLIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,\nOUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE\nSOFTWARE.\n";
const GPL2_HEADER: &str = " * This program is free software; you can redistribute it and/or modify\n * it under the terms of the GNU General Public License as published by\n * the Free Software Foundation; either version 2 of the License, or\n * (at your option) any later version.\n *\n * This program is distributed in the hope that it will be useful,\n * but WITHOUT ANY WARRANTY; without even the implied warranty of\n * MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the\n * GNU General Public License for more details.\n";

fn found(text: &str) -> Vec<(String, Matcher, Class)> {
    let found = find_licenses(text).into_iter();
    found
        .map(|one| (one.expression, one.matcher, one.class))
        .collect()
}

fn exact(expression: &str, matcher: Matcher) -> Vec<(String, Matcher, Class)> {
    vec![(expression.to_owned(), matcher, Class::Exact)]
}

#[test]
fn a_text_is_found_whoever_holds_the_copyright_and_however_it_is_laid_out() {
    assert_eq!(found(MIT), exact("MIT", Matcher::Text));
    let comment: String = MIT.lines().map(|line| format!("// {line}\n")).collect();
    assert_eq!(found(&comment), exact("MIT", Matcher::Text));
    let changed = MIT.replace("without limitation", "with limitation");
    assert_eq!(found(&changed), []);
    let similar = similar_license(&changed).map(|one| one.class);
    assert_eq!(similar, Some(Class::Approximate));
}

#[test]
fn every_text_of_the_list_of_this_machine_is_found_as_its_family() {
    // Debian's base-files has the texts as their authors publish them.
    for (name, expected) in [
        ("GPL-2", "GPL-2.0"),
        ("GPL-3", "GPL-3.0"),
        ("LGPL-2.1", "LGPL-2.1"),
        ("LGPL-3", "LGPL-3.0"),
        ("Apache-2.0", "Apache-2.0"),
        ("MPL-2.0", "MPL-2.0"),
        ("CC0-1.0", "CC0-1.0"),
        ("Artistic", "Artistic-1.0-Perl"),
    ] {
        let path = format!("/usr/share/common-licenses/{name}");
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let found = found(&text);
        assert!(
            found.iter().all(|(license, ..)| license == expected),
            "{name}: {found:?}"
        );
        let near = similar_license(&text).map(|one| one.expression);
        assert!(!found.is_empty() || near.is_some(), "{name}: {near:?}");
    }
}

#[test]
fn headers_say_which_versions_may_be_chosen() {
    assert_eq!(
        found(GPL2_HEADER),
        exact("GPL-2.0-or-later", Matcher::Header)
    );
    let only = GPL2_HEADER.replace(
        "either version 2 of the License, or\n * (at your option) any later version.",
        "version 2 of the License.",
    );
    assert_eq!(found(&only), exact("GPL-2.0-only", Matcher::Header));
    let lesser = GPL2_HEADER
        .replace("General Public", "Lesser General Public")
        .replace("version 2 ", "version 2.1 ");
    assert_eq!(found(&lesser), exact("LGPL-2.1-or-later", Matcher::Header));
    let apache = "Licensed under the Apache License, Version 2.0 (the \"License\"); you may not use this file except in compliance with the License.";
    assert_eq!(found(apache), exact("Apache-2.0", Matcher::Header));
}

#[test]
fn words_that_turn_a_header_leave_it_to_people() {
    let text = format!("{GPL2_HEADER} * As a special exception, you may link it with anything.\n");
    let class: Vec<Class> = found(&text).into_iter().map(|one| one.2).collect();
    assert_eq!(class, [Class::Approximate]);
    // Bison's is the text of an identifier that SPDX has given up.
    let bison = "As a special exception, you may create a larger work that contains part or all of the Bison parser skeleton and distribute \
                 that work under terms of your choice, so long as that work isn't itself a parser generator using the skeleton or a modified \
                 version thereof as a parser skeleton. Alternatively, if you modify or redistribute the parser skeleton itself, you may (at \
                 your option) remove this special exception, which will cause the skeleton and the resulting Bison output files to be \
                 licensed under the GNU General Public License without this special exception.\n\nThis special exception was added by the \
                 Free Software Foundation in version 2.2 of Bison.\n";
    let [only] = found(&format!("{GPL2_HEADER}{bison}")).try_into().unwrap();
    assert_eq!(
        (only.0.as_str(), only.2),
        ("GPL-2.0-or-later", Class::Approximate)
    );
    // The words of libgcc before its exception was in the header.
    let libgcc = "In addition to the permissions in the GNU General Public License, the Free Software Foundation gives you unlimited \
                  permission to link the compiled version of this file into combinations with other programs.";
    let [only] = found(&format!("{GPL2_HEADER}{libgcc}")).try_into().unwrap();
    assert_eq!(
        (only.0.as_str(), only.2),
        ("GPL-2.0-or-later", Class::Approximate)
    );
    let text = format!("Alternatively, the GPL:\n{GPL2_HEADER}{MIT}");
    let classes: Vec<Class> = found(&text).into_iter().map(|one| one.2).collect();
    assert_eq!(classes, [Class::Approximate; 2]);
}

#[test]
fn what_a_license_says_of_its_use_is_nobodys_header() {
    let text = format!("terms\nEND OF TERMS AND CONDITIONS\n\nHow to Apply\n{GPL2_HEADER}");
    assert_eq!(found(&text), []);
}

#[test]
fn ordinary_sentences_are_no_licenses() {
    for text in [
        "",
        "See the file COPYING.",
        "This software is licensed as described in the file.",
    ] {
        assert_eq!(find_licenses(text), Vec::<Match>::new());
        assert_eq!(similar_license(text), None);
    }
    let huge = "permission is hereby granted free ".repeat(20_000);
    assert_eq!(find_licenses(&huge), Vec::<Match>::new());
}

#[test]
fn expressions_are_those_of_spdx() {
    for text in [
        "MIT",
        "GPL-2.0-or-later WITH Bison-exception-2.2",
        "GPL-2.0",
        "(MIT OR Apache-2.0)",
    ] {
        assert!(is_expression(text), "{text}");
    }
    for text in ["", "GPLv2", "MIT, BSD", "MIT OR"] {
        assert!(!is_expression(text), "{text}");
    }
}
