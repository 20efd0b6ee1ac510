using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations.Operations;

namespace NeoCommons.EfCore.Admin;

/// <summary>What a migration must not do, found when its SQL is generated: before the first tenant.</summary>
/// <remarks>
/// What is in <c>migrationBuilder.Sql</c> is the application's own text, and is not read; but an index that is built
/// concurrently must have a name.
/// </remarks>
/// <param name="options">Which schemas are shared.</param>
/// <param name="ofSharedContexts">Whether the migrations are those of shared tables, and not a tenant's.</param>
internal sealed class MigrationRules(ConnectionOptions options, bool ofSharedContexts = false)
{
    private const string Extension = "Npgsql:PostgresExtension:";

    // What the provider creates from an annotation of the database; the rest of the name is [schema.]name.
    private static readonly string[] Creating =
    [
        Extension,
        "Npgsql:Enum:",
        "Npgsql:Range:",
        "Npgsql:CollationDefinition:",
    ];

    private static readonly string[] SchemaProperties = ["Schema", "NewSchema"];

    /// <exception cref="InvalidOperationException">An operation would reach beyond the tenant's schema.</exception>
    public void ThrowIfBroken(string context, string migration, IEnumerable<MigrationOperation> operations)
    {
        foreach (var operation in operations.SelectMany(Flatten))
        {
            if (SchemasOf(operation).FirstOrDefault(s => !MayChange(s)) is { } schema)
            {
                if (schema == options.SchemaOfSharedContexts)
                {
                    throw new InvalidOperationException(
                        $"{operation.GetType().Name} in migration '{migration}' of {context} changes schema '{schema}', whose tables "
                            + "are migrated once per database, with the context that AddSharedDbContext has added. Map their "
                            + "entities with IsShared() in the tenants' context, and remove the operation from the migration."
                    );
                }

                throw new InvalidOperationException(
                    $"{operation.GetType().Name} in migration '{migration}' of {context} names schema '{schema}': it would "
                        + "touch the same objects for every tenant. Remove the schema from the migration and the model, so "
                        + $"that it means the tenant's own, or add '{schema}' to NeoCommons:Connections:SharedSchemas if "
                        + "all tenants share it."
                );
            }

            if (operation is AlterDatabaseOperation database)
            {
                ThrowIfCreatedElsewhere(database, migration, context);
            }
        }
    }

    /// <exception cref="InvalidOperationException">The context is configured to be seeded by EF's own migrator.</exception>
    public static void ThrowIfSeeding(DbContext context)
    {
        var core = context.GetService<IDbContextOptions>().FindExtension<CoreOptionsExtension>();
        if (core is { Seeder: not null } or { AsyncSeeder: not null })
        {
            throw new InvalidOperationException(
                $"{context.GetType().Name} has UseSeeding or UseAsyncSeeding, which only EF's own Migrate and EnsureCreated "
                    + "call: no tenant would be seeded. Remove it, and seed with a context of the new tenant after "
                    + "ITenantProvisioner.CreateAsync, or with HasData or InsertData in a migration."
            );
        }
    }

    /// <exception cref="InvalidOperationException">A statement could not be found again after it was interrupted.</exception>
    public static void ThrowIfUnnamed(MigrationStep step)
    {
        var lone = step.Statements.Where(s => !s.IsTransactional).Select(s => new LoneStatement(s.Sql));
        if (lone.Any(s => s is { BuildsIndex: true, Index: null }))
        {
            throw new InvalidOperationException(
                $"Migration '{step.Id}' of {step.Context} builds an index concurrently and does not name it: interrupted, it "
                    + "would leave an invalid index that nothing could find again. Name it in the migration, CREATE INDEX "
                    + "CONCURRENTLY \"IX_table_column\" ON ...; where it has been applied already, with the name that the server gave it."
            );
        }
    }

    private void ThrowIfCreatedElsewhere(AlterDatabaseOperation operation, string migration, string context)
    {
        foreach (var annotation in operation.GetAnnotations())
        {
            if (
                Array.Find(Creating, p => annotation.Name.StartsWith(p, StringComparison.Ordinal)) is not { } prefix
                || operation.OldDatabase.FindAnnotation(annotation.Name) is not null
            )
            {
                continue;
            }

            var name = annotation.Name[prefix.Length..];
            var dot = name.IndexOf('.', StringComparison.Ordinal);
            if (dot < 0)
            {
                // The path of a shared context's migrations leads to the shared schema.
                if (prefix == Extension && !ofSharedContexts)
                {
                    throw new InvalidOperationException(
                        $"Migration '{migration}' of {context} creates extension '{name}' without naming a schema: a "
                            + "database has an extension once, so it would land in the schema of the first tenant and be "
                            + $"missing for all others. Name the schema, HasPostgresExtension(\"extensions\", \"{name}\") "
                            + "for one, and list it in NeoCommons:Connections:SharedSchemas."
                    );
                }

                continue;
            }

            // Extensions hold no tenant's data: a schema where the driver looks for types is good enough for them.
            var schema = name[..dot];
            if (!MayChange(schema) && !(prefix == Extension && options.TypeSchemas.Contains(schema)))
            {
                throw new InvalidOperationException(
                    $"Migration '{migration}' of {context} creates '{name}' ({prefix.TrimEnd(':')}) in schema '{schema}', "
                        + "which is not shared. Add it to NeoCommons:Connections:SharedSchemas, or leave the schema out."
                );
            }
        }
    }

    private bool MayChange(string schema) =>
        options.SharedSchemas.Contains(schema) || (ofSharedContexts && schema == options.SchemaOfSharedContexts);

    // By name: some twenty operations have a schema, without a common base.
    private IEnumerable<string> SchemasOf(MigrationOperation operation) =>
        SchemaProperties
            .Select(p => operation.GetType().GetProperty(p)?.GetValue(operation) as string)
            .Append((operation as EnsureSchemaOperation)?.Name)
            .Append((operation as DropSchemaOperation)?.Name)
            // A tenant's table may refer to a shared one.
            .Append(
                operation is AddForeignKeyOperation { PrincipalSchema: { } principal }
                && principal != options.SchemaOfSharedContexts
                    ? principal
                    : null
            )
            .OfType<string>();

    private static IEnumerable<MigrationOperation> Flatten(MigrationOperation operation) =>
        operation is CreateTableOperation table
            ? [table, .. table.Columns, .. table.ForeignKeys, .. table.UniqueConstraints, .. table.CheckConstraints]
            : [operation];
}
