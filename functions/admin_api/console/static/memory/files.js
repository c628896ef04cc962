// Memories as files: JSON Lines and Markdown, out and in.

/** One memory a line, with what another Mem0 needs to take it. */
export const toJsonLines = (memories) => memories.map((one) => `${JSON.stringify(one)}\n`).join("");

/** One memory a list item, under the day it was made. */
export function toMarkdown(person, memories) {
  const days = new Map();
  for (const memory of memories) {
    const day = (memory.created_at ?? "").slice(0, 10) || "without a date";
    days.set(day, [...(days.get(day) ?? []), memory.memory.replace(/\s*\n\s*/g, " ")]);
  }
  const parts = [...days].map(([day, texts]) => `## ${day}\n\n${texts.map((text) => `- ${text}`).join("\n")}\n`);
  return `# Memories of ${person.type} ${person.id}\n\n${parts.join("\n")}`;
}

/** The memories in a file: [{text, metadata}]. Throws SyntaxError, which names the line. */
export function readFile(name, content) {
  if (/\.(md|markdown|txt)$/i.test(name)) {
    return content
      .split("\n")
      .map((line) => /^\s*[-*]\s+(.*\S)/.exec(line)?.[1])
      .filter(Boolean)
      .map((text) => ({ text, metadata: null }));
  }
  return content.split("\n").flatMap((line, index) => {
    if (!line.trim()) return [];
    let value;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new SyntaxError(`line ${index + 1} is not JSON: ${error.message}`);
    }
    const text = typeof value === "string" ? value : value?.memory ?? value?.text;
    if (typeof text !== "string" || !text.trim()) {
      throw new SyntaxError(`line ${index + 1} has no text in "memory" or "text"`);
    }
    return [{ text, metadata: value.metadata ?? null }];
  });
}
