import { rules, same, unsupported } from './rules.ts'

/** Sections of the top level. Those of gateway.yaml may stand beside them. */
export const SECTIONS = rules(
  {
    model_list: same('model_list', 'see its keys'),
    router_settings: same('routing', 'see its keys'),
    litellm_settings: same('', 'see its keys'),
    general_settings: same('', 'see its keys'),
    environment_variables: same('', 'set before the rest of the file is read'),
    credential_list: same('', 'looked up by litellm_credential_name'),
    include: same('include', 'the same; maps are merged, not replaced')
  },
  {},
  {
    ...unsupported(
      'calls are not checked by them: list the hooks `guard`, `redact` or `validate`',
      'guardrails policies policy_attachments'
    ),
    ...unsupported(
      'it has no effect here',
      'callback_settings prompts mcp_servers mcp_tools agent_list vector_store_registry search_tools assistant_settings files_settings finetune_settings default_vertex_config mcp_semantic_tool_filter'
    )
  }
)
