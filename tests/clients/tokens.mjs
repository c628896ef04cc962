// The true number of tokens of each text in the JSON array on standard input, in o200k_base.
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";

let input = "";
for await (const part of process.stdin) input += part;
console.log(JSON.stringify(JSON.parse(input).map((text) => countTokens(text))));
