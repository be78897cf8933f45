//! `longattn inspect`: what a scorer package is.

use clap::{ArgMatches, Command};
use longattn::Result;
use longattn::choice::Choice;
use longattn::model::{Description, Metadata, Port, Scorer, loaded_from};

use crate::flags::{self, WithSettings};
use crate::{progress, table};

pub fn command(command: Command) -> Command {
    command
        .about("Say what a scorer package is")
        .arg(flags::path("package", "DIR", "The scorer package, or a bare model.onnx").required(true))
        .arg(flags::switch("json", "Print one JSON object"))
        .arg(flags::quiet())
        .with_settings(&["layer", "memory_limit", "onnxruntime"])
}

/// One fact: its name and value.
pub type Row = (&'static str, String);

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let scorer = Scorer::open(flags::path_of(matches, "package"), &flags::config(matches)?)?;
    let description = scorer.description();
    table::print(&match matches.get_flag("json") {
        true => description.to_json().to_string(),
        false => table(&rows(description)),
    });
    Ok(())
}

/// Facts as an aligned table.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.0.len()).max().unwrap_or_default();
    let lines: Vec<_> = rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

/// What a model says of itself.
pub fn metadata_rows(metadata: &Metadata) -> Vec<Row> {
    let rows = [
        ("name", Some(metadata.name.clone())),
        ("architecture", Some(metadata.architecture.clone())),
        ("contract", Some(metadata.contract.name().to_owned())),
        ("layers", Some(metadata.layers.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))),
        ("heads", Some(metadata.heads.to_string())),
        ("key-value heads", Some(metadata.key_value_heads.to_string())),
        ("head size", Some(metadata.head_size.to_string())),
        ("vocabulary", Some(metadata.vocabulary_size.to_string())),
        ("positions", Some(metadata.max_positions.to_string())),
        ("rope theta", metadata.rope_theta.map(|theta| theta.to_string())),
        ("logit soft cap", metadata.logit_softcap.map(|cap| cap.to_string())),
        ("sliding window", metadata.sliding_window.map(|window| window.to_string())),
        ("weights", Some(metadata.weights.clone())),
        ("information gain", metadata.losses.then(|| "yes, by loss.onnx".to_owned())),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn rows(description: &Description) -> Vec<Row> {
    let mut rows = match &description.metadata {
        Some(metadata) => metadata_rows(metadata),
        None => vec![
            ("contract", format!("{}, read off the graph", description.contract.name())),
            ("heads", description.heads.map_or("unknown".to_owned(), |heads| heads.to_string())),
        ],
    };
    let tokenizer = description.tokenizer_vocabulary.map_or("none".to_owned(), |size| format!("{size} token ids"));
    rows.push(("tokenizer", tokenizer));
    rows.push(("inputs", ports(&description.inputs)));
    rows.push(("outputs", ports(&description.outputs)));
    rows.push(("model", description.model.display().to_string()));
    rows.push(("size", progress::bytes(description.model_bytes)));
    rows.extend(loaded_from().map(|path| ("ONNX Runtime", path.display().to_string())));
    rows
}

fn ports(ports: &[Port]) -> String {
    let shape = |port: &Port| {
        let dimensions = port.shape.iter().map(|dimension| dimension.map_or("?".to_owned(), |size| size.to_string()));
        dimensions.collect::<Vec<_>>().join(", ")
    };
    let described: Vec<_> =
        ports.iter().map(|port| format!("{} {}[{}]", port.name, port.element, shape(port))).collect();
    described.join("; ")
}
