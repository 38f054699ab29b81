/** The type of what a JSON Schema lets through, as far as options of hooks need one: they are not declared twice. */
export type ValueOf<Schema> = Schema extends { readonly enum: readonly (infer Value)[] }
  ? Value
  : Schema extends { readonly type: 'integer' | 'number' }
    ? number
    : Schema extends { readonly type: 'string' }
      ? string
      : Schema extends { readonly type: 'boolean' }
        ? boolean
        : Schema extends { readonly type: 'array'; readonly items: infer Item }
          ? readonly ValueOf<Item>[]
          : Schema extends { readonly properties: infer Properties }
            ? OptionsOf<Properties, Schema>
            : Schema extends { readonly type: 'object'; readonly additionalProperties: infer Item }
              ? { readonly [name: string]: ValueOf<Item> | undefined }
              : unknown

/** What has a default or is required is there. */
type OptionsOf<Properties, Schema> = {
  readonly [Name in keyof Properties]: Properties[Name] extends { readonly default: unknown }
    ? ValueOf<Properties[Name]>
    : Schema extends { readonly required: readonly (infer Required)[] }
      ? Name extends Required
        ? ValueOf<Properties[Name]>
        : ValueOf<Properties[Name]> | undefined
      : ValueOf<Properties[Name]> | undefined
}
