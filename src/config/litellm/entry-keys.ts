import { rules, same, unsupported } from './rules.ts'

/** USD a token there, a million tokens here. They stand in `litellm_params` or in `model_info`. */
const PRICES = {
  input_cost_per_token: same('price.input', 'the same, for a million tokens'),
  output_cost_per_token: same('price.output', 'the same, for a million tokens'),
  cache_read_input_token_cost: same('price.cache_read', 'the same, for a million tokens'),
  cache_creation_input_token_cost: same('price.cache_write', 'the same, for a million tokens')
}

/** Keys of `litellm_params`. LiteLLM forwards any other to the provider's call. */
export const LITELLM_PARAMS = rules(
  {
    model: same('model', 'the prefix becomes `provider`, the rest `model`; `*` is filled with what the glob matched'),
    custom_llm_provider: same('provider', 'the provider, whatever the prefix says'),
    api_key: same('api_key', 'the same'),
    api_base: same('api_base', 'the same'),
    base_url: same('api_base', 'the same as api_base'),
    organization: same('headers.openai-organization', 'sent as the header it is'),
    extra_headers: same('headers', 'the same'),
    headers: same('headers', 'the same as extra_headers'),
    azure_ad_token: same('api_key', 'the same; a token that ends is not renewed'),
    vertex_project: same('api_base', 'part of the address'),
    vertex_location: same('api_base', 'part of the address; us-central1 beside a project, as in LiteLLM'),
    vertex_credentials: same('api_key', 'the path of the key file, or its text on one line'),
    aws_region_name: same('api_base', 'part of the address'),
    aws_bedrock_runtime_endpoint: same('api_base', 'the same'),
    aws_access_key_id: same('api_key', '`ID:SECRET`, by which requests are signed'),
    aws_secret_access_key: same('api_key', '`ID:SECRET`, by which requests are signed'),
    aws_session_token: same('api_key', 'its third part'),
    litellm_credential_name: same('api_key', 'the values of that credential_list entry are used'),
    ttft_timeout: same('timeouts.first_token', 'the deadline of the first token'),
    stream_idle_timeout: same('timeouts.idle', 'the longest gap in a stream'),
    order: same('order', 'the same; an entry without one comes after those that have one'),
    ...PRICES
  },
  {
    timeout: ['timeouts.total', 'the deadline of the whole call, streams included'],
    stream_timeout: ['timeouts.first_token', 'the deadline of the first token, streamed or not'],
    weight: ['weight', 'the share among entries of one name; a missing one beside it counts as a spare, tried last'],
    max_tokens: ['max_tokens', 'a cap here: a larger ask is lowered; LiteLLM only fills in a missing one'],
    max_completion_tokens: ['max_tokens', 'a cap here: a larger ask is lowered; LiteLLM only fills in a missing one'],
    mock_response: ['demo.text', 'answered by the built-in `demo` provider'],
    rpm: ['rpm', 'a limit here, whatever the strategy, beside the share of load that simple-shuffle makes of it'],
    tpm: ['tpm', 'a limit here, whatever the strategy, beside the share of load that simple-shuffle makes of it'],
    max_parallel_requests: ['max_parallel', 'the same; the line in front of it is bounded (routing.queue)'],
    tags: [
      'tags',
      'an entry has to have all tags of a request; taken over when router_settings.enable_tag_filtering is on'
    ]
  },
  {
    ...unsupported('an entry has one limit of tokens, of both kinds together: `tpm`', 'itpm otpm'),
    ...unsupported(
      'an entry has no budget, and sets no limits for keys',
      'max_budget budget_duration default_api_key_tpm_limit default_api_key_rpm_limit'
    ),
    ...unsupported('declared once, for all entries: routing.retries', 'max_retries num_retries'),
    ...unsupported('declared once, for all entries: routing.cooldown', 'cooldown_time'),
    ...unsupported('tags are compared as they are', 'tag_regex'),
    ...unsupported(
      'only tokens have a price: read, written, and in the cache',
      'input_cost_per_second output_cost_per_second input_cost_per_image input_cost_per_audio_token output_cost_per_audio_token output_cost_per_reasoning_token input_cost_per_token_batches output_cost_per_token_batches'
    ),
    ...unsupported(
      'fields of a request pass as the client sends them; none is dropped',
      'drop_params additional_drop_params allowed_openai_params modify_params'
    ),
    ...unsupported(
      'fields are not filled into requests, but for max_tokens',
      'temperature top_p top_k n stop seed user presence_penalty frequency_penalty logit_bias response_format tools tool_choice parallel_tool_calls logprobs top_logprobs reasoning_effort thinking stream stream_options functions function_call modalities service_tier metadata extra_body extra_query verbosity store prediction min_p top_a repetition_penalty stop_token_ids guided_json audio web_search_options dimensions encoding_format'
    ),
    ...unsupported(
      'clients cannot choose the upstream or its key',
      'configurable_clientside_auth_params use_in_pass_through'
    ),
    ...unsupported(
      'the dialect is chosen by the client and the provider',
      'use_litellm_proxy use_chat_completions_api merge_reasoning_content_in_choices'
    ),
    ...unsupported(
      'use the options of the `demo` provider for tests',
      'mock_timeout mock_testing_fallbacks mock_testing_rate_limit_error mock_tool_calls mock_delay'
    ),
    api_version: { fit: 'approximate', reason: 'Azure is asked by its v1 API, which has no dated versions' },
    ...unsupported(
      'credentials are not looked up in this cloud: give a key, a key file or an access key',
      'tenant_id client_id client_secret aws_role_name aws_session_name aws_profile_name'
    ),
    ...unsupported('it has no effect here', 'region_name watsonx_region_name s3_bucket_name gcs_bucket_name'),
    ...unsupported(
      'routers that are a model are not there in this version',
      'auto_router_config auto_router_config_path auto_router_default_model auto_router_embedding_model complexity_router_config complexity_router_default_model'
    ),
    ...unsupported('traffic is not mirrored', 'silent_model'),
    ...unsupported('every upstream certificate is checked', 'ssl_verify'),
    ...unsupported(
      'it has no effect here',
      'model_info litellm_trace_id guardrails cache_control_injection_points max_file_size_mb'
    )
  }
)

/** Keys of `model_info`. LiteLLM shows any other in `/model/info`. */
export const MODEL_INFO = rules(
  { access_groups: same('access_groups', 'the same'), ...PRICES },
  { max_input_tokens: ['context_window', 'told to clients that list models; requests are not measured by it'] },
  {
    ...unsupported('an entry has no id of its own here', 'id'),
    ...unsupported('any operation is sent to any entry', 'mode supported_environments'),
    ...unsupported('prices are not looked up by it', 'base_model'),
    ...unsupported('models come from the file alone', 'db_model created_at created_by updated_at updated_by'),
    ...unsupported('models do not belong to teams in this version', 'team_id team_public_model_name tier'),
    ...unsupported('an entry is taken out with `weight: 0`, or by removing it', 'blocked'),
    ...unsupported(
      'backends are probed without a completion',
      'health_check_model health_check_timeout disable_background_health_check health_check_max_tokens'
    ),
    ...unsupported('tokens are counted by the upstream', 'custom_tokenizer'),
    ...unsupported(
      'it is not shown',
      'max_tokens max_output_tokens supports_vision supports_function_calling supports_parallel_function_calling supports_system_messages supports_response_schema supports_prompt_caching supports_reasoning supports_audio_input supports_audio_output supports_pdf_input supports_web_search supports_tool_choice output_vector_size litellm_provider description'
    )
  }
)

/** Keys beside them in an entry of `model_list`. */
export const MODEL_ENTRY = rules(
  {
    model_name: same('model_name', 'the same; globs are anchored at both ends'),
    litellm_params: same('', 'see its keys'),
    model_info: same('', 'see its keys')
  },
  {},
  {}
)
