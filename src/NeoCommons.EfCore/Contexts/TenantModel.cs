using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

namespace NeoCommons.EfCore;

/// <summary>
/// Refuses a model that names a schema of its own, since every tenant would read and write the same tables, or that makes
/// tenants share in another way.
/// </summary>
/// <remarks>
/// Looks at the finished model, whichever way it was made: by <c>OnModelCreating</c>, by conventions of the application,
/// or beforehand. Once per model.
/// </remarks>
internal static class TenantModel
{
    private static readonly ConditionalWeakTable<IModel, object> Passed = [];

    public static void ThrowIfShared(DbContext context)
    {
        var model = context.Model;
        if (Passed.TryGetValue(model, out _))
        {
            return;
        }

        var settings = context.GetService<IDbContextOptions>().FindExtension<TenantOptionsExtension>()!.Settings;
        var own = settings.Binding == SchemaBinding.QualifiedNames ? SchemaName.Placeholder : null;
        var allowed = settings.SharedSchemas;
        foreach (var (what, schema) in Names(model))
        {
            if (schema != own && schema is null or SchemaName.Placeholder)
            {
                throw new InvalidOperationException(
                    $"{what} of {context.GetType().Name} is mapped "
                        + (schema is null ? "without a schema" : $"to \"{schema}\"")
                        + $", which does not suit the binding {settings.Binding}. A compiled model serves the binding that it "
                        + "was made for: make it again with 'dotnet ef dbcontext optimize'."
                );
            }

            if (schema != own && !allowed.Contains(schema))
            {
                throw new InvalidOperationException(
                    $"{what} of {context.GetType().Name} is mapped to schema '{schema}', so all tenants would share it. Leave "
                        + "the schema out (HasDefaultSchema too), so that it lies in each tenant's own; or, if sharing is "
                        + "meant, add the schema to NeoCommons:Connections:SharedSchemas"
                        + (allowed.Count == 0 ? "." : $" (now: {string.Join(", ", allowed)}).")
                );
            }
        }

        foreach (var property in model.GetEntityTypes().SelectMany(type => type.GetDeclaredProperties()))
        {
            if (property.GetValueGenerationStrategy() == NpgsqlValueGenerationStrategy.SequenceHiLo)
            {
                throw new InvalidOperationException(
                    $"{property.DeclaringType.DisplayName()}.{property.Name} of {context.GetType().Name} takes its values by "
                        + "HiLo, and EF keeps one block of them for all tenants of a process: their keys would collide. Let the "
                        + "database make them: UseIdentityByDefaultColumn(), or UseSequence() for one sequence of each tenant."
                );
            }
        }

        Passed.TryAdd(model, model);
    }

    private static IEnumerable<(string What, string? Schema)> Names(IModel model)
    {
        var relational = model.GetRelationalModel();
        return relational
            .Tables.Select(t => ($"Table '{t.Name}'", t.Schema))
            .Concat(relational.Views.Select(v => ($"View '{v.Name}'", v.Schema)))
            .Concat(relational.Sequences.Select(s => ($"Sequence '{s.Name}'", s.Schema)))
            .Concat(relational.StoredProcedures.Select(p => ($"Procedure '{p.Name}'", p.Schema)))
            .Concat(relational.Functions.Where(f => !f.IsBuiltIn).Select(f => ($"Function '{f.Name}'", f.Schema)));
    }
}
