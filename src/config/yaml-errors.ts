import type { ErrorCode } from 'yaml'

/** Our own words for each: the parser's quote the file, and the file may hold secrets. */
export const YAML_ERRORS: Record<ErrorCode, string> = {
  ALIAS_PROPS: 'an alias (`*name`) cannot have an anchor or a tag of its own',
  BAD_ALIAS: 'the alias (`*name`) refers to no anchor before it; a text that begins with `*` needs quotes',
  BAD_COLLECTION_TYPE: 'the tag does not fit what follows it',
  BAD_DIRECTIVE: 'this is not a YAML directive that is understood; a text that begins with `%` needs quotes',
  BAD_DQ_ESCAPE: 'this escape is not known in a double-quoted text; use single quotes, or \\\\ for a backslash',
  BAD_INDENT: 'the indentation does not fit the lines above',
  BAD_PROP_ORDER: 'anchors and tags must come right before their value',
  BAD_SCALAR_START: 'a text that begins with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'there are two keys in one line, or a text with `: ` in it that needs quotes',
  BLOCK_IN_FLOW: 'inside { } and [ ] only the one-line style can be used',
  DUPLICATE_KEY: 'this key is here twice',
  IMPOSSIBLE: 'this is not YAML that can be read',
  KEY_OVER_1024_CHARS: 'a key is longer than 1,024 characters: is a quote or a brace not closed?',
  MISSING_CHAR: 'a character is missing: a comma, a colon with its space, a closing quote, or a closing brace',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line: is a colon or a quote missing?',
  MULTIPLE_ANCHORS: 'a value can have one anchor',
  MULTIPLE_DOCS: 'one document per file: remove what follows `---`',
  MULTIPLE_TAGS: 'a value can have one tag',
  NON_STRING_KEY: 'a key must be a text',
  RESOURCE_EXHAUSTION: 'this is too large or too deeply nested to be read',
  TAB_AS_INDENT: 'a tab cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'this tag is not known',
  UNEXPECTED_TOKEN: 'this is not expected here: is a comma, a quote or a colon missing before it?'
}
