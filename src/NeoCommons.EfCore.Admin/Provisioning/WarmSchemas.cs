using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Takes schemas that wait for a tenant.</summary>
internal sealed class WarmSchemas(IOptions<WarmPoolOptions> options)
{
    /// <summary>The comment of a schema that waits.</summary>
    public const string Mark = "NeoCommons warm schema";

    public const string Prefix = "warm_";

    /// <summary>Tells the refill that one was taken.</summary>
    public WakeUp Taken { get; } = new();

    /// <summary>Whether a tenant's row says that its schema is one that waited, and has not been renamed yet.</summary>
    public static bool IsWarm(string schema) => schema.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>Takes one, in the transaction that writes the tenant's row: nobody else gets it, and none is lost.</summary>
    /// <returns>Its name; null where none waits.</returns>
    public async Task<string?> ClaimAsync(
        AdminDbContext context,
        Guid connection,
        NewTenant tenant,
        CancellationToken ct
    )
    {
        if (options.Value.Size == 0 || tenant.Source != TenantSource.Migrations)
        {
            return null;
        }

        // Never composed upon: it is a DELETE.
        var taken = await context
            .Database.SqlQuery<string>(
                $"""
                DELETE FROM admin.warm_schemas WHERE id = (
                    SELECT id FROM admin.warm_schemas
                    WHERE connection_id = {connection} AND schema_version IS NOT NULL
                        AND tenant_type IS NOT DISTINCT FROM {tenant.TenantType}
                    ORDER BY schema_version DESC, created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
                RETURNING schema_name AS "Value"
                """
            )
            .ToListAsync(ct)
            .ConfigureAwait(false);
        if (taken.Count == 0)
        {
            return null;
        }

        Taken.Call();
        return taken[0];
    }

    /// <summary>Gives the tenant's warm schema its own name, in the caller's transaction.</summary>
    /// <returns>Whether there is one; else the tenant's schema is made as usual.</returns>
    public static async Task<bool> MoveInAsync(
        NpgsqlConnection connection,
        TenantEntity row,
        SchemaName schema,
        CancellationToken ct
    )
    {
        var warm = SchemaName.Parse(row.SchemaName);
        if (await SchemaMark.FindAsync(connection, warm, row.Id, ct).ConfigureAwait(false) is not { } found)
        {
            return false;
        }

        // Where the name is not free, what is there decides: an empty one that was made for the tenant is used. The one that
        // waited is nobody's then, and the next refill drops it.
        if (
            !found.Equals(schema)
            && (await SchemaContent.ReadAsync(connection, schema, ct).ConfigureAwait(false)).Exists
        )
        {
            return false;
        }

        await SchemaMark.RenameAsync(connection, warm, schema, row, ct).ConfigureAwait(false);
        return true;
    }
}
