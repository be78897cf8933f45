//! `longattn inspect`: what a scorer package is, and which execution providers start.

use std::ffi::OsStr;
use std::path::Path;

use crate::Result;
use crate::choice::Choice;
use crate::model::{Description, Metadata, Placement, Port, Scorer, Survey, Tried, loaded_from, survey};
use clap::{ArgMatches, Command};

use super::flags::{self, WithSettings};
use super::{progress, table};

pub fn command(command: Command) -> Command {
    command
        .about("Say what a scorer package is, or which execution providers start")
        .arg(
            flags::path("package", "DIR", "The scorer package, or a bare model.onnx")
                .required_unless_present("providers"),
        )
        .arg(
            flags::switch("providers", "Try every execution provider instead, and say what ONNX Runtime offers")
                .conflicts_with("package"),
        )
        .arg(flags::switch("json", "Print one JSON object"))
        .arg(flags::quiet())
        .with_settings(&["layer", "memory_limit", "onnxruntime", "execution_provider", "device_id", "provider_options"])
}

/// One fact: its name and value.
pub type Row<'a> = (&'a str, String);

pub fn execute(matches: &ArgMatches) -> Result<()> {
    let (config, json) = (flags::config(matches)?, matches.get_flag("json"));
    if matches.get_flag("providers") {
        let survey = survey(&config)?;
        table::print(&if json { survey.to_json().to_string() } else { table(&survey_rows(&survey)) });
        return Ok(());
    }
    let scorer = Scorer::open(flags::path_of(matches, "package"), &config)?;
    let description = scorer.description();
    table::print(&if json { description.to_json().to_string() } else { table(&rows(description)) });
    Ok(())
}

/// Facts as an aligned table.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.0.len()).max().unwrap_or_default();
    let lines: Vec<_> = rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

/// What a model says of itself.
pub fn metadata_rows(metadata: &Metadata) -> Vec<Row<'static>> {
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
        ("needs", metadata.least_onnxruntime.as_ref().map(|least| format!("ONNX Runtime {least} or newer"))),
        ("information gain", metadata.losses.then(|| "yes, by loss.onnx".to_owned())),
        ("rows at a time", metadata.block_rows.map(|rows| rows.to_string())),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn rows(description: &Description) -> Vec<Row<'static>> {
    let contract = description.contract.map(Choice::name);
    let mut rows = match &description.metadata {
        Some(metadata) => metadata_rows(metadata),
        None => vec![
            ("contract", contract.map_or("none".to_owned(), |name| format!("{name}, read off the graph"))),
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
    if !description.placement.is_empty() {
        rows.push(("nodes", placement(&description.placement)));
    }
    rows
}

fn placement(placement: &Placement) -> String {
    let described = placement.iter().map(|(provider, operators)| {
        let nodes: usize = operators.values().sum();
        let names: Vec<_> = operators.keys().map(String::as_str).collect();
        format!("{nodes} on {provider}: {}", names.join(", "))
    });
    described.collect::<Vec<_>>().join("; ")
}

fn survey_rows<'a>(survey: &'a Survey) -> Vec<Row<'a>> {
    let mut rows = vec![
        ("ONNX Runtime", format!("{} from {}", survey.version, survey.onnxruntime.display())),
        ("built with", survey.built_with.join(", ")),
    ];
    let name = |tried: &'a Tried| Path::new(&tried.name).file_name().and_then(OsStr::to_str).unwrap_or(&tried.name);
    rows.extend(survey.providers.iter().map(|tried| (name(tried), outcome(tried))));
    rows
}

fn outcome(tried: &Tried) -> String {
    let devices: Vec<_> =
        tried.devices.iter().enumerate().map(|(id, device)| format!("device {id} is a {device}")).collect();
    let outcome = tried.problem.as_ref().map_or("starts".to_owned(), |problem| format!("does not start: {problem}"));
    std::iter::once(outcome).chain(devices).collect::<Vec<_>>().join("; ")
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
