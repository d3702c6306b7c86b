//! The formats that a bill is written in.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{Bill, BillFault, cyclonedx, spdx2, spdx3};

/// In whose words a bill is written. Printed as it is called on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentFormat {
    /// CycloneDX 1.7, ECMA-424, as JSON.
    CycloneDx17,
    /// CycloneDX 1.6 as JSON: it cannot say that another license was concluded than declared, and has the concluded one.
    CycloneDx16,
    /// SPDX 3.0.1 as JSON-LD.
    Spdx3,
    /// SPDX 2.3 as JSON.
    Spdx2,
    /// SPDX 2.3 as lines of tags and values.
    Spdx2TagValue,
}

/// The text is no format of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not one of `cyclonedx`, `spdx3`, `spdx` and `spdx-tv`")]
pub struct UnknownFormat {
    /// The text.
    pub text: String,
}

impl DocumentFormat {
    /// The media type of the document.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx17 | Self::CycloneDx16 => "application/vnd.cyclonedx+json",
            Self::Spdx3 => "application/spdx+json;version=3.0.1",
            Self::Spdx2 => "application/spdx+json",
            Self::Spdx2TagValue => "text/spdx",
        }
    }

    /// What a statement with the document in it is called. Source: in-toto Attestation Framework, `spec/predicates`.
    #[must_use]
    pub const fn predicate_type(self) -> &'static str {
        match self {
            Self::CycloneDx17 | Self::CycloneDx16 => "https://cyclonedx.org/bom",
            Self::Spdx3 => "https://spdx.dev/Document/v3",
            Self::Spdx2 | Self::Spdx2TagValue => "https://spdx.dev/Document",
        }
    }
}

impl fmt::Display for DocumentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CycloneDx17 | Self::CycloneDx16 => "cyclonedx",
            Self::Spdx3 => "spdx3",
            Self::Spdx2 => "spdx",
            Self::Spdx2TagValue => "spdx-tv",
        })
    }
}

impl FromStr for DocumentFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Ok(match text {
            "cyclonedx" => Self::CycloneDx17,
            "spdx3" => Self::Spdx3,
            "spdx" => Self::Spdx2,
            "spdx-tv" => Self::Spdx2TagValue,
            _ => {
                return Err(UnknownFormat {
                    text: text.to_owned(),
                });
            }
        })
    }
}

impl Bill {
    /// Returns the document, with a newline at its end; always the same bytes. Fails, and writes nothing, if the bill has a fault.
    pub fn write(&self, format: DocumentFormat) -> Result<Vec<u8>, BillFault> {
        self.check()?;
        Ok(match format {
            DocumentFormat::CycloneDx17 => cyclonedx::write(self, cyclonedx::Spec::V1_7),
            DocumentFormat::CycloneDx16 => cyclonedx::write(self, cyclonedx::Spec::V1_6),
            DocumentFormat::Spdx3 => spdx3::write(self),
            DocumentFormat::Spdx2 => spdx2::write_json(self),
            DocumentFormat::Spdx2TagValue => spdx2::write_tag_value(self),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{super::bill::sample, *};

    const ALL: [DocumentFormat; 5] = [
        DocumentFormat::CycloneDx17,
        DocumentFormat::CycloneDx16,
        DocumentFormat::Spdx3,
        DocumentFormat::Spdx2,
        DocumentFormat::Spdx2TagValue,
    ];

    fn json(format: DocumentFormat) -> Value {
        let bytes = sample::bill().write(format).expect("no fault");
        serde_json::from_slice(&bytes).expect("a document of JSON")
    }

    #[test]
    fn the_same_bill_is_always_the_same_bytes_and_another_one_has_another_name() {
        let serial = |format, bill: &Bill| {
            let text = String::from_utf8(bill.write(format).expect("no fault")).expect("a text");
            let line = text.lines().next().unwrap_or_default().to_owned();
            (text, line)
        };
        for format in ALL {
            let (text, _) = serial(format, &sample::bill());
            assert_eq!(text, serial(format, &sample::bill()).0);
            let mut other = sample::bill();
            other.components[1].description = Some("something else".to_owned());
            assert_ne!(text, serial(format, &other).0);
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{format}");
        }
        let name = |bill: &Bill| bill.serial("x");
        let mut other = sample::bill();
        assert_eq!(name(&sample::bill()), name(&other));
        other.texts.clear();
        assert_ne!(name(&sample::bill()), name(&other));
    }

    #[test]
    fn cyclonedx_keeps_declared_and_concluded_apart_and_contained_software_inside() {
        let document = json(DocumentFormat::CycloneDx17);
        let components = document["components"].as_array().expect("a list");
        let jq = components.iter().find(|one| one["name"] == "jq");
        let jq = jq.expect("it is in the closure");
        let licenses = &jq["licenses"];
        assert_eq!(licenses[0]["acknowledgement"], "declared");
        assert_eq!(licenses[1]["acknowledgement"], "concluded");
        assert_eq!(
            licenses[0]["expressionDetails"][0]["text"]["content"],
            "Do what you like."
        );
        let contained = jq["components"].as_array().expect("what is in it");
        assert_eq!(contained[0]["purl"], "pkg:cargo/serde@1.0");
        assert_eq!(
            contained[0]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(contained[1]["type"], "file");
        assert_eq!(
            jq["pedigree"]["patches"][0]["resolves"][0]["id"],
            "CVE-2023-50246"
        );
        let older = json(DocumentFormat::CycloneDx16);
        let older = older["components"].as_array().expect("a list");
        let older = older.iter().find(|one| one["name"] == "jq");
        let licenses = older.map(|one| one["licenses"].as_array().map(Vec::len));
        assert_eq!(licenses, Some(Some(1)));
    }

    #[test]
    fn every_component_is_in_every_document() {
        let bill = sample::bill();
        let ids: Vec<&str> = bill.components.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids.len(), 5);
        let refs: Vec<Value> = json(DocumentFormat::CycloneDx17)["dependencies"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| one["ref"].clone())
            .collect();
        assert_eq!(refs, ids);
        let packages = json(DocumentFormat::Spdx2);
        let packages = packages["packages"].as_array().map(Vec::len);
        assert_eq!(packages, Some(ids.len()));
        let graph = json(DocumentFormat::Spdx3);
        let elements = graph["@graph"].as_array().expect("a list").iter();
        let packages = elements.filter(|one| one["type"] == "software_Package");
        assert_eq!(packages.count(), ids.len());
        let lines = bill.write(DocumentFormat::Spdx2TagValue).expect("no fault");
        let lines = String::from_utf8(lines).expect("a text");
        let names = lines
            .lines()
            .filter(|line| line.starts_with("PackageName: "));
        assert_eq!(names.count(), ids.len());
    }

    #[test]
    fn names_of_formats_are_read_as_they_are_printed() {
        for format in ALL
            .into_iter()
            .filter(|one| *one != DocumentFormat::CycloneDx16)
        {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("xml".parse::<DocumentFormat>().is_err());
    }
}
