using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;

namespace NeoCommons.EfCore;

/// <summary>Refuses a model that names a schema of its own: every tenant would read and write the same tables.</summary>
/// <remarks>
/// Looks at the finished model, whichever way it was made: by <c>OnModelCreating</c>, by conventions of the application,
/// or beforehand. Once per model.
/// </remarks>
internal static class TenantModel
{
    private static readonly ConditionalWeakTable<IModel, object> Passed = [];

    public static void ThrowIfItNamesASchema(DbContext context)
    {
        var model = context.Model;
        if (Passed.TryGetValue(model, out _))
        {
            return;
        }

        var allowed = context
            .GetService<IDbContextOptions>()
            .FindExtension<TenantOptionsExtension>()!
            .Settings.SharedSchemas;
        foreach (var (what, schema) in Names(model))
        {
            if (schema is not null && !allowed.Contains(schema))
            {
                throw new InvalidOperationException(
                    $"{what} of {context.GetType().Name} is mapped to schema '{schema}', so all tenants would share it. Leave "
                        + "the schema out (HasDefaultSchema too), so that it lies in each tenant's own; or, if sharing is "
                        + "meant, add the schema to NeoCommons:Connections:SharedSchemas"
                        + (allowed.Count == 0 ? "." : $" (now: {string.Join(", ", allowed)}).")
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
