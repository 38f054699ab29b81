import { rules, same, unsupported } from './rules.ts'

const CACHE = 'list the hook `cache` in `hooks`'
const RETRIES = 'how often the same entry is tried again, at most 10 times; then the next one is'
const FAILS = 'one more than may fail, within a minute, if there were not more successes'
const COOLDOWN = 'the same, in seconds; then one request finds out whether the entry works again'

/** Keys of `router_settings`. */
export const ROUTER_SETTINGS = rules(
  {
    fallbacks: same('routing.fallbacks', 'the list of maps becomes one map'),
    context_window_fallbacks: same('routing.context_fallbacks', 'the list of maps becomes one map'),
    content_policy_fallbacks: same('routing.content_policy_fallbacks', 'the list of maps becomes one map'),
    model_group_alias: same('aliases', 'the same; `hidden` is not')
  },
  {
    routing_strategy: [
      'routing.strategy',
      'simple-shuffle is `weighted`, least-busy itself, latency-based-routing `fastest` (of two by chance, by time to first token), cost-based-routing `cheapest` (by the prices of the entries), the usage-based ones are taken for `least-busy`'
    ],
    num_retries: ['routing.retries', RETRIES],
    allowed_fails: ['routing.cooldown.failures', FAILS],
    cooldown_time: ['routing.cooldown.for', COOLDOWN],
    disable_cooldowns: [
      'routing.cooldown.failures',
      'true is 0; a retry-after of the upstream is kept to all the same'
    ],
    enable_tag_filtering: ['tags', 'false leaves the tags of the entries out; untagged requests may go to any entry'],
    tag_filtering_match_any: ['tags', 'an entry has to have all tags of a request, always'],
    enable_weighted_failover: ['', 'other entries of the name are always tried first'],
    default_max_parallel_requests: ['max_parallel', 'for every entry that has none'],
    redis_url: ['store.redis_url', 'limits of callers and what hooks keep are shared; how targets do is not'],
    default_fallbacks: ['routing.fallbacks', 'becomes the fallbacks of every model that declares none'],
    timeout: ['timeouts.total', 'for every entry that has none'],
    stream_timeout: ['timeouts.first_token', 'for every entry that has none'],
    ttft_timeout: ['timeouts.first_token', 'for every entry that has none'],
    stream_idle_timeout: ['timeouts.idle', 'for every entry that has none']
  },
  {
    ...unsupported('a random wait that doubles comes before a retry, or what the upstream asks for', 'retry_after'),
    ...unsupported(
      'which failures are tried again is the same for all: those that may pass in a moment',
      'retry_policy model_group_retry_policy'
    ),
    ...unsupported('every declared fallback is tried', 'max_fallbacks'),
    ...unsupported('failures that are the upstream’s own count the same', 'allowed_fails_policy'),
    ...unsupported('write store.redis_url', 'redis_host redis_port redis_password redis_db'),
    ...unsupported(CACHE, 'cache_responses cache_kwargs caching_groups client_ttl'),
    ...unsupported('write them into each entry', 'default_litellm_params'),
    ...unsupported('a provider has no budget', 'provider_budget_config'),
    ...unsupported(
      'rpm, tpm and max_parallel of an entry are always kept to; a request’s length is judged by the upstream',
      'optional_pre_call_checks enable_pre_call_checks'
    ),
    ...unsupported('who waits in line is served in turn', 'polling_interval default_priority'),
    ...unsupported(
      'there is one strategy for all names, without arguments',
      'routing_strategy_args routing_groups plugins'
    ),
    ...unsupported(
      'routing.sticky keeps a conversation at one entry',
      'deployment_affinity_ttl_seconds model_group_affinity_config'
    ),
    ...unsupported('alerts come from the metrics', 'alerting_config'),
    ...unsupported('an entry that is wrong is an error here, always', 'ignore_invalid_deployments'),
    ...unsupported('it has no effect here', 'search_tools guardrail_list set_verbose debug_level'),
    ...unsupported(
      'declare health_check at an entry: one that fails it is left out',
      'enable_health_check_routing health_check_staleness_threshold health_check_ignore_transient_errors'
    )
  }
)

/** Keys of `litellm_settings`. */
export const LITELLM_SETTINGS = rules(
  {
    fallbacks: same('routing.fallbacks', 'the list of maps becomes one map'),
    context_window_fallbacks: same('routing.context_fallbacks', 'the list of maps becomes one map'),
    content_policy_fallbacks: same('routing.content_policy_fallbacks', 'the list of maps becomes one map')
  },
  {
    num_retries: ['routing.retries', RETRIES],
    allowed_fails: ['routing.cooldown.failures', FAILS],
    cooldown_time: ['routing.cooldown.for', COOLDOWN],
    default_fallbacks: ['routing.fallbacks', 'becomes the fallbacks of every model that declares none'],
    request_timeout: ['timeouts.total', 'for every entry that has none'],
    json_logs: ['server.logs.format', 'true is `json`'],
    callbacks: ['', '`prometheus` is always on, at /metrics; no other is there in this version'],
    success_callback: ['', '`prometheus` is always on, at /metrics; no other is there in this version'],
    failure_callback: ['', '`prometheus` is always on, at /metrics; no other is there in this version']
  },
  {
    ...unsupported(
      'prompts are never logged',
      'turn_off_message_logging redact_user_api_key_info redact_messages_in_exceptions global_disable_no_log_param'
    ),
    ...unsupported(
      'logs and metrics are the gateway’s own',
      'service_callbacks langfuse_default_tags set_verbose s3_callback_params standard_logging_payload_excluded_fields prometheus_initialize_budget_metrics prometheus_metrics_config custom_prometheus_metadata_labels custom_prometheus_tags enable_end_user_cost_tracking_prometheus_only require_auth_for_metrics_endpoint prometheus_emit_stream_label callback_settings post_call_rules datadog_params datadog_llm_observability_params gcs_pub_sub_use_v1 generic_logger_headers'
    ),
    ...unsupported(
      'upstreams are reached over IPv4 and IPv6, and every certificate is checked',
      'force_ipv4 ssl_verify ssl_certificate'
    ),
    ...unsupported(
      'fields of a request pass as the client sends them; none is dropped',
      'drop_params modify_params add_function_to_prompt'
    ),
    ...unsupported(CACHE, 'cache cache_params enable_caching_on_provider_specific_optional_params'),
    ...unsupported('keys are kept in memory for a moment anyway', 'enable_redis_auth_cache'),
    ...unsupported(
      'what holds for all is said of each: plans, organizations, teams, users and keys have models, limits and budgets',
      'default_key_generate_params upperbound_key_generate_params key_generation_settings default_internal_user_params default_team_params default_team_settings max_internal_user_budget internal_user_budget_duration max_end_user_budget max_end_user_budget_id max_budget budget_duration enable_key_alias_format_validation max_user_budget'
    ),
    ...unsupported(
      'what a call costs is reckoned from `price`, or from the list of prices',
      'cost_discount_config cost_margin_config disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only include_cost_in_streaming_usage'
    ),
    ...unsupported(
      'it has no effect here',
      'network_mock additional_headers use_chat_completions_url_for_anthropic_messages route_all_chat_openai_to_responses skip_system_message_in_guardrail enable_json_schema_validation disable_hf_tokenizer_download disable_add_transform_inline_image_block custom_provider_map mcp_aliases model_group_settings global_prompt_directory responses telemetry disable_token_counter cli_jwt_expiration_hours'
    ),
    ...unsupported('use router_settings.model_group_alias or `aliases`', 'model_alias_map'),
    ...unsupported('callers have no priority in this version', 'priority_reservation priority_reservation_settings'),
    ...unsupported('calls are not checked by them: list the hooks `guard`, `redact` or `validate`', 'guardrails'),
    ...unsupported('every model that is served is listed', 'public_model_groups')
  }
)

/** Keys of `general_settings`. */
export const GENERAL_SETTINGS = rules(
  { master_key: same('auth.master_key', 'the same') },
  {
    database_url: ['store.database_url', 'tables of its own, in the schema `sluice`; keys of LiteLLM’s are not read'],
    maximum_spend_logs_retention_period: ['spend.retention', 'of single calls; sums stay'],
    max_request_size_mb: ['server.body_limit', 'the same, in bytes'],
    pass_through_endpoints: [
      'passthrough',
      'reached at /passthrough/{name}/*, named after the path; keys of the gateway apply'
    ]
  },
  {
    ...unsupported(
      'calls are not checked by it: the master key and the keys that were made here decide',
      'custom_auth custom_auth_run_common_checks enable_jwt_auth litellm_jwtauth enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings custom_sso custom_ui_sso_sign_in_handler auto_redirect_ui_login_to_sso allowed_routes public_routes admin_only_routes allowed_ips use_x_forwarded_for role_permissions enforce_rbac enforce_user_param enforced_params service_account_settings'
    ),
    ...unsupported('the usual headers carry the key', 'litellm_key_header_name user_header_name user_header_mappings'),
    ...unsupported(
      'keys are made with `sluice keys create` or POST /key/generate, and stand as digests in store.database_url',
      'default_team_disabled user_api_key_cache_ttl disable_adding_master_key_hash_to_db disable_master_key_return custom_key_generate custom_key_update key_management_system key_management_settings use_google_kms use_azure_key_vault reject_clientside_metadata_tags'
    ),
    ...unsupported(
      'clients cannot choose the upstream or its key',
      'allow_client_side_credentials pass_through_all_models use_client_credentials_pass_through_routes forward_openai_org_id forward_client_headers_to_llm_api forward_llm_provider_auth_headers'
    ),
    ...unsupported('models come from the file alone', 'store_model_in_db supported_db_objects'),
    ...unsupported(
      'single calls are always written, without prompts, first to a journal on disk',
      'use_redis_transaction_buffer proxy_batch_write_at disable_spend_logs disable_spend_updates disable_error_logs store_prompts_in_spend_logs maximum_spend_logs_retention_interval maximum_spend_logs_cleanup_cron'
    ),
    ...unsupported(
      'how the database is used is not set',
      'database_connection_pool_limit database_connection_timeout database_connection_pool_timeout database_connect_timeout database_socket_timeout database_disable_prepared_statements database_extra_connection_params disable_prisma_schema_update allow_requests_on_db_unavailable proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time disable_reset_budget scope_spend_list_endpoints_to_caller fail_closed_budget_enforcement'
    ),
    ...unsupported(
      'limits are said of each key, team, user, organization or entry',
      'max_parallel_requests global_max_parallel_requests token_rate_limit_type disable_retry_on_max_parallel_request_limit_error max_in_flight_requests_per_worker max_in_flight_requests_queue_size'
    ),
    ...unsupported('answers are not limited in size', 'max_response_size_mb'),
    ...unsupported(
      'a request names its model',
      'completion_model embedding_model image_generation_model moderation_model infer_model_from_keys'
    ),
    ...unsupported(
      'declare health_check at an entry',
      'background_health_checks health_check_interval health_check_concurrency health_check_details use_shared_health_check enable_health_check_routing health_check_staleness_threshold'
    ),
    ...unsupported(
      'alerts come from the metrics',
      'alerting alerting_threshold alert_types alert_to_webhook_url alerting_args alert_type_config spend_report_frequency'
    ),
    ...unsupported(
      'a client that leaves ends its call, and draining needs no endpoint',
      'cancel_on_disconnect enable_drain_endpoint drain_endpoint_token'
    ),
    ...unsupported(
      'it has no effect here',
      'ui_access_mode control_plane_url litellm_license block_robots always_include_stream_usage disable_responses_id_security mcp_internal_ip_ranges mcp_trusted_proxy_ranges mcp_required_fields mcp_client_side_auth_header_name require_end_user_mcp_access_defined user_mcp_management_mode plugins pass_through_request_timeout user_url_validation user_url_allowed_hosts otel proxy_config'
    )
  }
)

/** Keys of one of `general_settings.pass_through_endpoints`. */
export const PASS_THROUGH = rules(
  {
    path: same('', 'gives the name'),
    target: same('target', 'the same'),
    headers: same('headers', 'the same')
  },
  {},
  {
    ...unsupported('paths below it are always reached', 'include_subpath'),
    ...unsupported(
      'it has no effect here',
      'cost_per_request auth guardrails methods default_query_params id forward_headers merge_query_params'
    )
  }
)
