//! SPDX 2.3 as lines of tags and values.

use std::fmt::Write as _;

use super::{
    super::{Bill, BillComponent, BillFile},
    words::{
        DATA_LICENSE, DOCUMENT, NO_ASSERTION, VERSION, algorithm, all_listed, copyright, creators,
        download_location, external_references, file_name, file_reference, file_relation,
        namespace, purpose, reference, relationship, relationship_comment, source_info, supplier,
        verification_code,
    },
};

/// Returns the document.
pub(in super::super) fn write_tag_value(bill: &Bill) -> Vec<u8> {
    let mut out = Lines(String::new());
    out.tag("SPDXVersion", VERSION);
    out.tag("DataLicense", DATA_LICENSE);
    out.tag("SPDXID", DOCUMENT);
    out.tag("DocumentName", &bill.name);
    out.tag("DocumentNamespace", &namespace(bill, "spdx-2.3-tag-value"));
    for creator in creators(bill) {
        out.tag("Creator", &creator);
    }
    out.tag("Created", &bill.created.to_string());
    // A file after a package is one that it contains, which is said of packages alone all of whose files are listed; others come first.
    if !bill.files_are_complete {
        for component in &bill.components {
            files(&mut out, component, bill.files_of(&component.id));
        }
    }
    for component in &bill.components {
        out.gap();
        package(&mut out, bill, component);
        files(&mut out, component, all_listed(bill, component));
    }
    for (name, text) in &bill.texts {
        out.gap();
        out.tag("LicenseID", name);
        out.text("ExtractedText", text);
    }
    out.gap();
    if let Some(root) = bill.root() {
        out.tag(
            "Relationship",
            &format!("{DOCUMENT} DESCRIBES {}", reference(&root.id)),
        );
    }
    for one in &bill.relations {
        let (from, to) = (reference(&one.from), reference(&one.to));
        out.tag(
            "Relationship",
            &format!("{from} {} {to}", relationship(one.kind)),
        );
        let comment = relationship_comment(one);
        if !comment.is_empty() {
            out.text("RelationshipComment", &comment);
        }
    }
    if !bill.files_are_complete {
        let (kind, comment) = file_relation(bill);
        for component in &bill.components {
            for number in 0..bill.files_of(&component.id).len() {
                let file = file_reference(&component.id, number);
                let from = reference(&component.id);
                out.tag("Relationship", &format!("{from} {kind} {file}"));
                out.text("RelationshipComment", comment);
            }
        }
    }
    out.0.into_bytes()
}

fn package(out: &mut Lines, bill: &Bill, component: &BillComponent) {
    out.tag("PackageName", &component.name);
    out.tag("SPDXID", &reference(&component.id));
    if let Some(version) = component.any_version() {
        out.tag("PackageVersion", &version);
    }
    if let Some((path, _)) = &component.object {
        out.tag("PackageFileName", &path.to_logical());
    }
    out.tag("PackageSupplier", &supplier(component));
    out.tag("PackageDownloadLocation", download_location(component));
    let code = verification_code(all_listed(bill, component));
    out.tag(
        "FilesAnalyzed",
        if code.is_some() { "true" } else { "false" },
    );
    if let Some(code) = &code {
        out.tag("PackageVerificationCode", code);
    }
    for checksum in &component.checksums {
        let value = format!("{}: {}", algorithm(checksum), checksum.value);
        out.tag("PackageChecksum", &value);
    }
    if let Some(homepage) = &component.homepage {
        out.tag("PackageHomePage", homepage);
    }
    if let Some(info) = source_info(component) {
        out.text("PackageSourceInfo", &info);
    }
    out.tag(
        "PackageLicenseConcluded",
        component.concluded.as_deref().unwrap_or(NO_ASSERTION),
    );
    if code.is_some() {
        out.tag("PackageLicenseInfoFromFiles", NO_ASSERTION);
    }
    out.tag(
        "PackageLicenseDeclared",
        component.declared.as_deref().unwrap_or(NO_ASSERTION),
    );
    out.text("PackageCopyrightText", &copyright(component));
    if let Some(description) = &component.description {
        out.text("PackageSummary", description);
    }
    if let Some(made) = &component.checksum_of {
        out.text(
            "PackageComment",
            &format!("The checksums are those of {made}."),
        );
    }
    for [category, kind, locator] in external_references(component) {
        out.tag("ExternalRef", &format!("{category} {kind} {locator}"));
    }
    out.tag("PrimaryPackagePurpose", purpose(component));
}

fn files(out: &mut Lines, component: &BillComponent, files: &[BillFile]) {
    for (number, of) in files.iter().enumerate() {
        out.gap();
        file(out, &file_reference(&component.id, number), of);
    }
}

fn file(out: &mut Lines, id: &str, file: &BillFile) {
    out.tag("FileName", &file_name(file));
    out.tag("SPDXID", id);
    for checksum in &file.checksums {
        let value = format!("{}: {}", algorithm(checksum), checksum.value);
        out.tag("FileChecksum", &value);
    }
    out.tag("LicenseConcluded", NO_ASSERTION);
    out.tag("LicenseInfoInFile", NO_ASSERTION);
    out.tag("FileCopyrightText", NO_ASSERTION);
}

/// The document in the making.
struct Lines(String);

impl Lines {
    /// A value that is one line, whatever others wrote into it.
    fn tag(&mut self, tag: &str, value: &str) {
        let value = value.replace(['\n', '\r'], " ");
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{tag}: {value}");
    }

    /// A value that may have several lines.
    fn text(&mut self, tag: &str, value: &str) {
        if value == NO_ASSERTION {
            return self.tag(tag, value);
        }
        // What ends the value cannot be in it.
        let value = value.replace("</text>", "< /text>");
        let _ = writeln!(self.0, "{tag}: <text>{value}</text>");
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }
}
