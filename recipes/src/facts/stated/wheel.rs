//! `METADATA` of wheels: Python Packaging User Guide, "Core metadata specifications". Pure.

use std::collections::BTreeSet;

use store::facts::{Maker, Stated};

use super::people::{each_once, parse_person, split_list, web_page};
use crate::facts::license::is_expression;

/// What begins a classifier of a license.
const LICENSE: &str = "License :: ";
/// The classifiers of which each means one license of SPDX, as they stand in the list of pypa/trove-classifiers. Others, such as `BSD License` and `GNU General
/// Public License v3 (GPLv3)`, mean several: PEP 639, "Mapping license classifiers to SPDX identifiers".
const CLASSIFIERS: &[(&str, &str)] = &[
    ("Attribution Assurance License", "AAL"),
    ("Blue Oak Model License (BlueOak-1.0.0)", "BlueOak-1.0.0"),
    ("Boost Software License 1.0 (BSL-1.0)", "BSL-1.0"),
    (
        "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication",
        "CC0-1.0",
    ),
    (
        "CEA CNRS Inria Logiciel Libre License, version 2.1 (CeCILL-2.1)",
        "CECILL-2.1",
    ),
    ("CMU License (MIT-CMU)", "MIT-CMU"),
    (
        "CeCILL-B Free Software License Agreement (CECILL-B)",
        "CECILL-B",
    ),
    (
        "CeCILL-C Free Software License Agreement (CECILL-C)",
        "CECILL-C",
    ),
    (
        "Common Development and Distribution License 1.0 (CDDL-1.0)",
        "CDDL-1.0",
    ),
    ("Common Public License", "CPL-1.0"),
    ("Eclipse Public License 1.0 (EPL-1.0)", "EPL-1.0"),
    ("Eclipse Public License 2.0 (EPL-2.0)", "EPL-2.0"),
    (
        "Educational Community License, Version 2.0 (ECL-2.0)",
        "ECL-2.0",
    ),
    ("European Union Public Licence 1.0 (EUPL 1.0)", "EUPL-1.0"),
    ("European Union Public Licence 1.1 (EUPL 1.1)", "EUPL-1.1"),
    ("European Union Public Licence 1.2 (EUPL 1.2)", "EUPL-1.2"),
    (
        "GNU Affero General Public License v3 or later (AGPLv3+)",
        "AGPL-3.0-or-later",
    ),
    (
        "GNU General Public License v2 or later (GPLv2+)",
        "GPL-2.0-or-later",
    ),
    (
        "GNU General Public License v3 or later (GPLv3+)",
        "GPL-3.0-or-later",
    ),
    (
        "GNU Lesser General Public License v3 or later (LGPLv3+)",
        "LGPL-3.0-or-later",
    ),
    ("Historical Permission Notice and Disclaimer (HPND)", "HPND"),
    ("IBM Public License", "IPL-1.0"),
    ("ISC License (ISCL)", "ISC"),
    ("MIT License", "MIT"),
    ("MIT No Attribution License (MIT-0)", "MIT-0"),
    ("MirOS License (MirOS)", "MirOS"),
    ("Mozilla Public License 1.0 (MPL)", "MPL-1.0"),
    ("Mozilla Public License 1.1 (MPL 1.1)", "MPL-1.1"),
    ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
    (
        "Mulan Permissive Software License v2 (MulanPSL-2.0)",
        "MulanPSL-2.0",
    ),
    ("NASA Open Source Agreement v1.3 (NASA-1.3)", "NASA-1.3"),
    ("Open Software License 3.0 (OSL-3.0)", "OSL-3.0"),
    ("PostgreSQL License", "PostgreSQL"),
    ("Python License (CNRI Python License)", "CNRI-Python"),
    ("Python Software Foundation License", "PSF-2.0"),
    ("SIL Open Font License 1.1 (OFL-1.1)", "OFL-1.1"),
    ("Sleepycat License", "Sleepycat"),
    ("The Unlicense (Unlicense)", "Unlicense"),
    ("Universal Permissive License (UPL)", "UPL-1.0"),
    ("University of Illinois/NCSA Open Source License", "NCSA"),
    ("Vovida Software License 1.0", "VSL-1.0"),
    ("Zero-Clause BSD (0BSD)", "0BSD"),
    ("zlib/libpng License", "Zlib"),
];
/// The labels of pages, best first, as they are compared. PEP 753, "Well-known labels".
const LABELS: [&str; 5] = ["homepage", "source", "repository", "sourcecode", "github"];

pub(super) fn parse(text: &str) -> Option<Stated> {
    let headers = Headers::parse(text);
    let people = ["author", "maintainer"].into_iter();
    Some(Stated {
        makers: each_once(people.flat_map(|role| headers.people(role))),
        homepage: headers.homepage(),
        license: headers.license(),
        ..Stated::default()
    })
}

/// The fields, names in lower case. RFC 5322, section 2.2: a line that begins with a space goes on with the one before it.
struct Headers(Vec<(String, String)>);

impl Headers {
    fn parse(text: &str) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        // Behind an empty line comes the description.
        for line in text.lines().take_while(|line| !line.is_empty()) {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Self(fields)
    }

    fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        let those = self.0.iter().filter(move |(field, _)| field == name);
        those.map(|(_, value)| value.as_str())
    }

    /// Who is in a role: one name in one field, addresses in the other. A name and one address without a name are one person.
    fn people(&self, role: &str) -> Vec<Maker> {
        let field = format!("{role}-email");
        let addresses: Vec<&str> = self.all(&field).flat_map(split_list).collect();
        let mut people: Vec<Maker> = addresses.into_iter().filter_map(parse_person).collect();
        let Some(named) = self.all(role).find_map(parse_person) else {
            return people;
        };
        if let [only] = people.as_mut_slice()
            && only.email.as_ref() == Some(&only.name)
        {
            only.name = named.name;
        } else if people.iter().all(|one| one.name != named.name) {
            people.insert(0, named);
        }
        people
    }

    fn homepage(&self) -> Option<String> {
        let own = self.all("home-page").find_map(web_page);
        let labelled = || {
            LABELS.iter().find_map(|wanted| {
                self.all("project-url").find_map(|field| {
                    let (label, page) = field.split_once(',')?;
                    let plain: String = label.chars().filter(char::is_ascii_alphanumeric).collect();
                    web_page(page).filter(|_| plain.eq_ignore_ascii_case(wanted))
                })
            })
        };
        own.or_else(labelled)
    }

    /// The license as it is expressed, else as the classifiers say, if all of them say the same.
    fn license(&self) -> Option<String> {
        let expressed = self
            .all("license-expression")
            .find(|text| is_expression(text));
        if let Some(expressed) = expressed {
            return Some(expressed.to_owned());
        }
        let classifiers = self
            .all("classifier")
            .filter_map(|one| one.strip_prefix(LICENSE));
        // The first of two levels says only who approves of it.
        let names = classifiers.filter(|name| *name != "OSI Approved");
        let said: BTreeSet<Option<&str>> = names
            .map(|name| {
                let name = name.rsplit(" :: ").next().unwrap_or(name);
                let known = CLASSIFIERS.iter().find(|(known, _)| *known == name);
                known.map(|(_, license)| *license)
            })
            .collect();
        let mut said = said.into_iter();
        match (said.next(), said.next()) {
            (Some(Some(license)), None) => Some(license.to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_one_person_are_put_together() {
        let names = |text: &str| -> Vec<(String, Option<String>)> {
            let makers = parse(text).unwrap().makers.into_iter();
            makers.map(|maker| (maker.name, maker.email)).collect()
        };
        let one = |name: &str, email: Option<&str>| (name.to_owned(), email.map(str::to_owned));
        assert_eq!(
            names(
                "Author: Jane Doe\nAuthor-email: jane@a.example\nMaintainer-email: A Team <a@a.example>\n"
            ),
            [
                one("Jane Doe", Some("jane@a.example")),
                one("A Team", Some("a@a.example"))
            ]
        );
        assert_eq!(
            names("Author: Jane et al.\nAuthor-email: jane@a.example, joe@a.example\n"),
            [
                one("Jane et al.", None),
                one("jane@a.example", Some("jane@a.example")),
                one("joe@a.example", Some("joe@a.example"))
            ]
        );
        assert_eq!(names("Author: UNKNOWN\n"), []);
        assert_eq!(names("Name: a\n\nAuthor: of the description\n"), []);
    }

    #[test]
    fn the_best_page_counts() {
        for (text, expected) in [
            (
                "Home-page: https://a.example\nProject-URL: Homepage, https://b.example\n",
                Some("https://a.example"),
            ),
            (
                "Home-page: UNKNOWN\nProject-URL: Source Code, https://b.example\n",
                Some("https://b.example"),
            ),
            (
                "Project-URL: GitHub, https://b.example\nProject-URL: Home Page, https://c.example\n",
                Some("https://c.example"),
            ),
            ("Project-URL: Documentation, https://d.example\n", None),
        ] {
            assert_eq!(parse(text).unwrap().homepage.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn every_classifier_means_a_license_of_spdx() {
        for (classifier, license) in CLASSIFIERS {
            assert!(is_expression(license), "{classifier}");
        }
        let names = CLASSIFIERS.iter().map(|(name, _)| name);
        assert!(names.is_sorted());
    }

    #[test]
    fn classifiers_count_that_mean_one_license() {
        let osi = "Classifier: License :: OSI Approved";
        for (text, expected) in [
            (format!("{osi} :: MIT License\n"), Some("MIT")),
            (format!("{osi}\n{osi} :: MIT License\n"), Some("MIT")),
            (
                format!("{osi} :: MIT License\n{osi} :: ISC License (ISCL)\n"),
                None,
            ),
            (
                format!("{osi} :: MIT License\n{osi} :: BSD License\n"),
                None,
            ),
            (format!("{osi} :: BSD License\n"), None),
            (format!("{osi} :: Apache Software License\n"), None),
            ("License: MIT License\n".to_owned(), None),
            (
                "License-Expression: MIT OR Zlib\n".to_owned(),
                Some("MIT OR Zlib"),
            ),
        ] {
            assert_eq!(parse(&text).unwrap().license.as_deref(), expected, "{text}");
        }
    }
}
