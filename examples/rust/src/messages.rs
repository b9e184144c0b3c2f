//! Messages -> the text a policy looks at -> bytes: docs/gateways.md, step 3.

use crate::json::Json;

const KEPT: usize = 2048;

#[derive(PartialEq)]
enum Speaker {
    System,
    Assistant,
    Asks,
}

/// What is asked now, the turn before it, then the system prompt.
pub fn text_of(step: &Json) -> Result<String, String> {
    if let Json::Text(text) = step {
        return Ok(text.clone());
    }
    let messages = step.list()?;
    let speakers: Vec<Speaker> = messages.iter().map(speaker).collect();
    let asked = speakers.iter().rposition(|one| *one == Speaker::Asks);
    let before = &speakers[..asked.unwrap_or(messages.len())];
    let answered = before.iter().rposition(|one| *one == Speaker::Assistant);
    let told = speakers.iter().position(|one| *one == Speaker::System);
    let chosen = [asked, answered, told].into_iter().flatten();
    Ok(joined(chosen.map(|place| content(&messages[place])), "\n\n"))
}

/// Over 4,096 bytes: the first 2,048, one space, the last 2,048.
pub fn cap(text: &[u8]) -> Vec<u8> {
    if text.len() <= 2 * KEPT {
        return text.to_vec();
    }
    [&text[..KEPT], b" ", &text[text.len() - KEPT..]].concat()
}

fn speaker(message: &Json) -> Speaker {
    match message.get("role").and_then(Json::text) {
        Ok("assistant" | "model" | "ai") => Speaker::Assistant,
        Ok("system" | "developer") => Speaker::System,
        _ => Speaker::Asks,
    }
}

fn content(message: &Json) -> String {
    let Json::Object(_) = message else { return part(message) };
    let said = message.get("content").map(parts).unwrap_or_default();
    let calls = message.get("tool_calls").and_then(Json::list).unwrap_or_default();
    let calls = calls.iter().map(|call| bracket(call, "tool_call"));
    joined(std::iter::once(said).chain(calls), "\n")
}

fn parts(content: &Json) -> String {
    match content {
        Json::Null => String::new(),
        Json::List(several) => joined(several.iter().map(part), "\n"),
        one => part(one),
    }
}

fn part(one: &Json) -> String {
    if let Ok(text) = one.text().or(one.get("text").and_then(Json::text)) {
        return text.to_string();
    }
    match one.get("type").and_then(Json::text) {
        Ok("tool_result") => result(one.get("content").unwrap_or(&Json::Null)),
        _ => bracket(one, "part"),
    }
}

/// One level only: results do not nest, and hostile input might.
fn result(content: &Json) -> String {
    let several = content.list().unwrap_or(std::slice::from_ref(content));
    let texts = several.iter().filter(|one| **one != Json::Null).map(|one| {
        let text = one.text().or(one.get("text").and_then(Json::text));
        text.map_or_else(|_| bracket(one, "part"), str::to_string)
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn bracket(one: &Json, otherwise: &str) -> String {
    format!("[{}]", one.get("type").and_then(Json::text).unwrap_or(otherwise))
}

fn joined(texts: impl Iterator<Item = String>, separator: &str) -> String {
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(separator)
}
