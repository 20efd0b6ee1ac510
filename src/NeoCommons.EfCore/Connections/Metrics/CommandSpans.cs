using System.Data;
using System.Diagnostics;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Puts the tenant on the driver's own span of each command, so that a trace tells whose it was.</summary>
internal static class CommandSpans
{
    public static void Configure(NpgsqlTracingOptionsBuilder tracing) =>
        tracing
            .ConfigureCommandEnrichmentCallback(static (span, command) => Tag(span, command.Connection))
            .ConfigureBatchEnrichmentCallback(static (span, batch) => Tag(span, batch.Connection));

    private static void Tag(Activity span, NpgsqlConnection? connection)
    {
        if (
            connection is { State: ConnectionState.Open }
            && PhysicalConnection.Find(connection) is { Tenant: { } tenant }
        )
        {
            span.SetTag(NeoCommonsTelemetry.TenantTag, tenant.ToString());
        }
    }
}
